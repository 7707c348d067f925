@{heading}
// Runs two small layers whose answers are known without any reference model. Keys come in pairs that are unlike every
// other pair; each query is like one pair, and the thresholds keep the best estimate only. In the first layer the keys of
// a pair are equal: an output row is the mean of their values, or one value where the causal mask hides the other. In the
// second layer the second key has greater low bits, and the softmax is steep: its value alone comes out, where it is not
// hidden. Identity, configuration, refused addresses, a refused START, counters, errors and irq are checked, too. It is a
// check that the core is whole and connected, not the proof that it is right: that is the project's own comparison with
// the golden model.
//
// What it drives changes at falling edges of the clock, and what it samples was stored at the rising edge before: so no
// simulator can order its events in a way that matters. It is Verilog-2005 and means the same as SystemVerilog.

module @{testbench};
  localparam HEAD_DIM = @{head_dim};
  localparam BEAT = @{stream_bytes};  // bytes
  localparam OUT_BYTES = @{out_bytes};  // of an element
  localparam FRACTION = @{out_fraction_bits};  // bits of an output element below one step of V
  localparam CAUSAL = @{causal};
  localparam KV_HEADS = @{kv_heads};
  localparam GROUP = 2;
  localparam HEADS = GROUP * KV_HEADS;
  localparam LAYER_PACKETS = @{layer_packets};  // a packet holds the rows of all heads, not of one
  localparam KEYS = @{keys};
  localparam QUERIES = @{queries};
  localparam OFFSET = KEYS / 2;  // query i of a causal core sees keys j <= i + OFFSET
  localparam [31:0] KEEP_BEST = @{keep_best};  // threshold
  localparam SAME_ESTIMATE = @{same_estimate};  // whether 64 and 65 differ in their low bits only
  localparam [31:0] SCALE = @{scale}, STEEP = @{steep};  // of the softmax
  localparam BEATS = HEADS * (QUERIES * (1 + OUT_BYTES) + KEYS) * HEAD_DIM / BEAT;  // more or less
  localparam LONGEST_WAIT = 10000 + 20 * BEATS;  // cycles, for everything
  localparam ADDRESS_BITS = @{address_bits};
  localparam OKAY = 2'b00, SLVERR = 2'b10;

  integer checks = 0;
  integer seed = 1;  // of all idle cycles

  reg clk = 0;
  reg in_reset = 1;
  always #5 clk = ~clk;  // of whatever unit: no file of the core has a timescale

  task fail;
    input [8*40-1:0] what;
    input integer where;
    input [31:0] expected;
    input [31:0] got;
    $fatal(1, "%0s %0d: %h expected, %h came", what, where, expected, got);
  endtask

  task check;
    input [8*40-1:0] what;
    input integer where;
    input [31:0] expected;
    input [31:0] got;
    begin
      checks = checks + 1;
      if (got !== expected) fail(what, where, expected, got);
    end
  endtask

  task check_bit;
    input [8*40-1:0] what;
    input integer where;
    input expected;
    input got;
    check(what, where, {31'b0, expected}, {31'b0, got});
  endtask

  // --- the core -----------------------------------------------------------------------------------------------------

  reg [ADDRESS_BITS-1:0] awaddr = 0, araddr = 0;
  reg [31:0] wdata = 0;
  reg awvalid = 0, wvalid = 0, arvalid = 0;
  wire awready, wready, arready, bvalid, rvalid;
  wire [1:0] bresp, rresp;
  wire [31:0] rdata;

  reg [3*8*BEAT-1:0] in_data = 0;  // of q, k and v
  reg [3*BEAT-1:0] in_keep = 0;
  reg [2:0] in_last = 0, in_valid = 0;
  wire [2:0] in_ready;

  wire [8*BEAT-1:0] out_data;
  wire [BEAT-1:0] out_keep;
  wire out_last, out_valid, irq;
  reg out_ready = 0;

  @{ip_top} dut (
    .clk(clk),
    .@{reset}(@{reset_value}),
    .s_axis_q_tdata(in_data[0+:8*BEAT]),
    .s_axis_q_tkeep(in_keep[0+:BEAT]),
    .s_axis_q_tlast(in_last[0]),
    .s_axis_q_tvalid(in_valid[0]),
    .s_axis_q_tready(in_ready[0]),
    .s_axis_k_tdata(in_data[8*BEAT+:8*BEAT]),
    .s_axis_k_tkeep(in_keep[BEAT+:BEAT]),
    .s_axis_k_tlast(in_last[1]),
    .s_axis_k_tvalid(in_valid[1]),
    .s_axis_k_tready(in_ready[1]),
    .s_axis_v_tdata(in_data[16*BEAT+:8*BEAT]),
    .s_axis_v_tkeep(in_keep[2*BEAT+:BEAT]),
    .s_axis_v_tlast(in_last[2]),
    .s_axis_v_tvalid(in_valid[2]),
    .s_axis_v_tready(in_ready[2]),
    .m_axis_o_tdata(out_data),
    .m_axis_o_tkeep(out_keep),
    .m_axis_o_tlast(out_last),
    .m_axis_o_tvalid(out_valid),
    .m_axis_o_tready(out_ready),
    .s_axil_awaddr(awaddr),
    .s_axil_awprot(3'b000),
    .s_axil_awvalid(awvalid),
    .s_axil_awready(awready),
    .s_axil_wdata(wdata),
    .s_axil_wstrb(4'b1111),
    .s_axil_wvalid(wvalid),
    .s_axil_wready(wready),
    .s_axil_bresp(bresp),
    .s_axil_bvalid(bvalid),
    .s_axil_bready(1'b1),
    .s_axil_araddr(araddr),
    .s_axil_arprot(3'b000),
    .s_axil_arvalid(arvalid),
    .s_axil_arready(arready),
    .s_axil_rdata(rdata),
    .s_axil_rresp(rresp),
    .s_axil_rvalid(rvalid),
    .s_axil_rready(1'b1),
    .irq(irq)
  );

  // --- registers ----------------------------------------------------------------------------------------------------

  // Transfers of the rising edge before.
  reg aw_moved = 0, w_moved = 0, b_moved = 0, ar_moved = 0, r_moved = 0;
  reg [1:0] b_response = 0, r_response = 0;
  reg [31:0] r_word = 0;

  always @(posedge clk) begin
    aw_moved <= awvalid && awready;
    w_moved <= wvalid && wready;
    b_moved <= bvalid;
    b_response <= bresp;
    ar_moved <= arvalid && arready;
    r_moved <= rvalid;
    r_response <= rresp;
    r_word <= rdata;
  end

  // From one falling edge to another, as `read`.
  task write;
    input [31:0] address;
    input [31:0] data;
    input [1:0] response;
    begin
      awaddr = address[ADDRESS_BITS-1:0];
      wdata = data;
      awvalid = 1;
      wvalid = 1;
      while (awvalid || wvalid) begin
        @(negedge clk);
        if (aw_moved) awvalid = 0;
        if (w_moved) wvalid = 0;
      end
      while (!b_moved) @(negedge clk);
      check("response to a write at", address, {30'b0, response}, {30'b0, b_response});
    end
  endtask

  reg [31:0] word;

  // Into `word`.
  task read;
    input [31:0] address;
    input [1:0] response;
    begin
      araddr = address[ADDRESS_BITS-1:0];
      arvalid = 1;
      @(negedge clk);
      while (!ar_moved) @(negedge clk);
      arvalid = 0;
      while (!r_moved) @(negedge clk);
      check("response to a read at", address, {30'b0, response}, {30'b0, r_response});
      word = r_word;
    end
  endtask

  task check_register;
    input [31:0] address;
    input [31:0] expected;
    begin
      read(address, OKAY);
      check("register at", address, expected, word);
    end
  endtask

  // --- the layer ----------------------------------------------------------------------------------------------------

  function integer visible;  // keys of a query
    input integer query;
    visible = CAUSAL && query + OFFSET + 1 < KEYS ? query + OFFSET + 1 : KEYS;
  endfunction

  // Even queries choose the last pair that they see, of which the mask may hide a key.
  function integer pair_of;
    input integer head, query;
    pair_of = (query % 2 == 0 ? visible(query) - 1 : (3 * head + 5 * query) % visible(query)) / 2;
  endfunction

  reg steep = 0;  // the second layer

  function integer seen;  // keys of its pair
    input integer head, query;
    seen = 2 * pair_of(head, query) + 1 < visible(query) ? 2 : 1;
  endfunction

  function integer kept;
    input integer head, query;
    kept = steep && !SAME_ESTIMATE ? 1 : seen(head, query);
  endfunction

  // 64 or 65, or -64, by a bit of a code that no two pairs of a head share and that is never 0.
  function integer key;
    input integer head, row, element;
    reg [31:0] code;
    begin
      code = 2 * (37 * (row / 2) + 11 * head) + 1;
      key = code[element%8] ? 64 : -64;
      if (steep && row % 2 == 1 && key > 0) key = 65;
    end
  endfunction

  // Any byte, but with a lowest bit that both keys of a pair share: their mean is a whole number.
  function integer value;
    input integer head, row, element;
    reg [31:0] high, low;
    begin
      high = 89 * head + 53 * row + 31 * element + row * element;
      low = head + row / 2 + element;
      value = {{25{high[6]}}, high[5:0], low[0]};
    end
  endfunction

  function signed [31:0] expected_output;
    input integer head, query, element;
    reg signed [31:0] first, last;
    begin
      first = value(head / GROUP, 2 * pair_of(head, query), element);
      last = value(head / GROUP, 2 * pair_of(head, query) + seen(head, query) - 1, element);
      expected_output = (steep ? last : (first + last) / 2) * (1 << FRACTION);
    end
  endfunction

  // A byte of a packet, q being stream 0, k 1 and v 2; 0 behind its end.
  function [7:0] packet_byte;
    input integer stream, head, index, size;
    integer number;
    begin
      number = 0;
      if (index < size && stream == 0)
        number = key(head / GROUP, 2 * pair_of(head, index / HEAD_DIM), index % HEAD_DIM);
      if (index < size && stream == 1) number = key(head, index / HEAD_DIM, index % HEAD_DIM);
      if (index < size && stream == 2) number = value(head, index / HEAD_DIM, index % HEAD_DIM);
      packet_byte = number[7:0];
    end
  endfunction

  integer layer = 0;

  reg [2:0] in_moved = 0;
  always @(posedge clk) in_moved <= in_valid & in_ready;

  genvar stream;
  generate
    for (stream = 0; stream < 3; stream = stream + 1) begin : source
      localparam PACKETS = stream == 0 ? HEADS : KV_HEADS;
      localparam SIZE = (stream == 0 ? QUERIES : KEYS) * HEAD_DIM;
      localparam JOINED = LAYER_PACKETS ? PACKETS : 1;  // heads of a packet
      integer round, head, first, lane;
      initial
        for (round = 1; round <= 2; round = round + 1) begin
          wait (layer == round);
          for (head = 0; head < PACKETS; head = head + JOINED)
            for (first = 0; first < JOINED * SIZE; first = first + BEAT) begin
              while ($random(seed) % 4 == 0) @(negedge clk);
              for (lane = 0; lane < BEAT; lane = lane + 1) begin
                in_data[8*(stream*BEAT+lane)+:8] = packet_byte(stream, head + (first + lane) / SIZE,
                  (first + lane) % SIZE, first + lane < JOINED * SIZE ? SIZE : 0);
                in_keep[stream*BEAT+lane] = first + lane < JOINED * SIZE;
              end
              in_last[stream] = first + BEAT >= JOINED * SIZE;
              in_valid[stream] = 1;
              @(negedge clk);
              while (!in_moved[stream]) @(negedge clk);
              in_valid[stream] = 0;
            end
        end
    end
  endgenerate

  localparam OUT_HEAD_SIZE = QUERIES * HEAD_DIM * OUT_BYTES, OUT_JOINED = LAYER_PACKETS ? HEADS : 1;
  localparam OUT_SIZE = OUT_JOINED * OUT_HEAD_SIZE;
  integer out_head = 0, out_first = 0, out_lane, out_index;
  reg signed [31:0] out_element;
  reg [7:0] out_byte;

  reg out_moved = 0, sampled_last = 0;
  reg [8*BEAT-1:0] sampled_data = 0;
  reg [BEAT-1:0] sampled_keep = 0;

  always @(posedge clk) begin
    out_moved <= out_valid && out_ready;
    sampled_data <= out_data;
    sampled_keep <= out_keep;
    sampled_last <= out_last;
  end

  always @(negedge clk) begin
    out_ready = $random(seed) % 4 != 0;
    if (out_moved) begin
      if (out_head >= HEADS) fail("output packet", out_head, 0, 1);
      for (out_lane = 0; out_lane < BEAT; out_lane = out_lane + 1) begin
        out_index = out_first + out_lane;
        check_bit("tkeep of output byte", out_index, out_index < OUT_SIZE, sampled_keep[out_lane]);
        out_element = expected_output(out_head + out_index / OUT_HEAD_SIZE,
          out_index % OUT_HEAD_SIZE / OUT_BYTES / HEAD_DIM, out_index / OUT_BYTES % HEAD_DIM);
        out_element = out_element >>> 8 * (out_index % OUT_BYTES);
        out_byte = sampled_data[8*out_lane+:8];
        if (out_index < OUT_SIZE) check("output byte", out_index, {24'b0, out_element[7:0]}, {24'b0, out_byte});
      end
      check_bit("tlast of output packet", out_head, out_first + BEAT >= OUT_SIZE, sampled_last);
      out_head = sampled_last ? out_head + OUT_JOINED : out_head;
      out_first = sampled_last ? 0 : out_first + BEAT;
    end
  end

  initial begin
    repeat (LONGEST_WAIT) @(negedge clk);
    fail("output packets after too many cycles:", LONGEST_WAIT, HEADS, out_head);
  end

  // --- the run ------------------------------------------------------------------------------------------------------

  integer head_number, query_number, pairs_seen = 0, pairs_kept = 0;

  task run_layer;
    begin
      for (head_number = 0; head_number < HEADS; head_number = head_number + 1) begin
        write(@{table} + @{table_stride} * head_number, KEEP_BEST, OKAY);
        write(@{table} + @{table_stride} * head_number + 4, steep ? STEEP : SCALE, OKAY);
        for (query_number = 0; query_number < QUERIES; query_number = query_number + 1) begin
          pairs_seen = pairs_seen + visible(query_number);
          pairs_kept = pairs_kept + kept(head_number, query_number);
        end
      end
      check_register(@{table} + @{table_stride} * (HEADS - 1) + 4, steep ? STEEP : SCALE);
      write(@{layer_heads}, HEADS | GROUP << 16, OKAY);
      write(@{layer_lengths}, QUERIES | KEYS << 16, OKAY);
      write(@{causal_offset}, OFFSET, OKAY);
      check_bit("irq before layer", layer, 0, irq);
      layer = layer + 1;
      write(@{control}, 1, OKAY);
      while (irq !== 1) @(negedge clk);
      check_register(@{status}, 32'b110);  // done, idle
      check_register(@{errors}, 0);
      check_register(@{irq_status}, 1);
      write(@{irq_status}, 1, OKAY);
      check_bit("irq after layer", layer, 0, irq);
      check("output packets of layer", layer, HEADS, out_head);
      out_head = 0;
      write(@{control}, 1 << 4, OKAY);  // snapshot of the counters
      check_register(@{queries_lo}, layer * HEADS * QUERIES);
      check_register(@{keys_seen_lo}, pairs_seen);
      check_register(@{kept_lo}, pairs_kept);
    end
  endtask

  initial begin
    repeat (8) @(negedge clk);
    in_reset = 0;
    repeat (2) @(negedge clk);

@{constants}
    read(@{hole}, SLVERR);
    write(@{hole}, 0, SLVERR);
    read(@{control} + 1, SLVERR);
    write(@{id}, 0, SLVERR);

    write(@{control}, 1, OKAY);  // of a layer without heads
    read(@{status}, OKAY);
    while (word[0]) read(@{status}, OKAY);  // busy
    check_register(@{status}, 32'b010);  // idle
    check_register(@{errors}, @{length_zero});
    write(@{errors}, @{length_zero}, OKAY);
    check_register(@{irq_status}, 2);
    write(@{irq_status}, 2, OKAY);

    write(@{irq_enable}, 1, OKAY);  // done
    run_layer;
    steep = 1;
    run_layer;
    $display("PASS: %0d checks, 2 layers of %0d heads, %0d queries, %0d keys", checks, HEADS, QUERIES, KEYS);
    $finish;
  end
endmodule
