"""A product of two bytes in ECP5's carry chains: half the LUTs of what Yosys makes of it, for cores with more products
than the device has DSP blocks.

Yosys adds up the rows of a product with compressors, which take two LUTs a bit: 156 for a weight and an element of V.
The LUT in front of a carry takes four inputs, though, so that one chain makes a pair of rows and adds it::

    p = x ^ y,  g = x    with  x = value & factor[2k],  y = 2·value & factor[2k + 1]

Four pairs and three additions in chains of their own take 72.

Source: the cell CCU2C in Yosys's ECP5 library, whose generate is the LUT's lower quarter: a function of A and B.
"""

FILE = "products.v"

MAP = """\
(* techmap_celltype = "$mul" *)
module product_of_bytes (A, B, Y);
  parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
  parameter [A_WIDTH-1:0] _TECHMAP_CONSTMSK_A_ = 0, _TECHMAP_CONSTVAL_A_ = 0;
  parameter [B_WIDTH-1:0] _TECHMAP_CONSTMSK_B_ = 0, _TECHMAP_CONSTVAL_B_ = 0;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;

  // The factor is never negative: it is signed only because the other is, and its sign is 0.
  localparam A_FACTOR = A_SIGNED && A_WIDTH == 9 && _TECHMAP_CONSTMSK_A_[A_WIDTH-1] && !_TECHMAP_CONSTVAL_A_[A_WIDTH-1];
  localparam B_FACTOR = B_SIGNED && B_WIDTH == 9 && _TECHMAP_CONSTMSK_B_[B_WIDTH-1] && !_TECHMAP_CONSTVAL_B_[B_WIDTH-1];
  wire _TECHMAP_FAIL_ = !(A_SIGNED && B_SIGNED && (A_FACTOR || B_FACTOR));

  localparam V = A_FACTOR ? B_WIDTH : A_WIDTH;  // bits of the value, signed
  localparam T = V + 2;  // of a pair of rows, signed
  localparam CELLS = (T + 1) / 2;
  wire [7:0] factor = A_FACTOR ? A : B;
  wire [V-1:0] value = A_FACTOR ? B : A;
  wire [2*CELLS-1:0] once = {{(2*CELLS-V){value[V-1]}}, value};
  wire [2*CELLS-1:0] twice = {once[2*CELLS-2:0], 1'b0};
  wire [8*CELLS-1:0] pairs;

  genvar k, c;
  generate
    for (k = 0; k < 4; k = k + 1) begin : rows
      wire [CELLS:0] carry;
      assign carry[0] = 1'b0;
      for (c = 0; c < CELLS; c = c + 1) begin : bits
        CCU2C #(
          .INIT0(16'h7888), .INIT1(16'h7888), .INJECT1_0("NO"), .INJECT1_1("NO")
        ) adder (
          .CIN(carry[c]), .COUT(carry[c+1]),
          .A0(once[2*c]), .B0(factor[2*k]), .C0(twice[2*c]), .D0(c == 0 ? 1'b0 : factor[2*k+1]),
          .A1(once[2*c+1]), .B1(factor[2*k]), .C1(twice[2*c+1]), .D1(factor[2*k+1]),
          .S0(pairs[2*(CELLS*k+c)]), .S1(pairs[2*(CELLS*k+c)+1])
        );
      end
    end
  endgenerate

  wire signed [T-1:0] t0 = pairs[0+:T], t1 = pairs[2*CELLS+:T], t2 = pairs[4*CELLS+:T], t3 = pairs[6*CELLS+:T];
  wire signed [T-3:0] t0_rest = t0[T-1:2], t2_rest = t2[T-1:2];
  wire signed [T-1:0] lower = t0_rest + t1, upper = t2_rest + t3;
  wire signed [T+1:0] half = {lower, t0[1:0]}, other = {upper, t2[1:0]};
  wire signed [T-3:0] half_rest = half[T+1:4];
  wire signed [T+1:0] total = half_rest + other;
  wire signed [T+5:0] product = {total, half[3:0]};
  assign Y = product;
endmodule
"""
"""A techmap of Yosys, for `$mul` cells; it leaves what is no product of a weight and an element of V. Its additions are
to be mapped by `script.ADDER_MAP`."""
