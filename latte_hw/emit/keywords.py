"""Words that name no core and no register: keywords of the languages that both end up in."""

_VERILOG = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
inside instance int integer interconnect interface intersect join join_any join_none large let liblist library local
localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1
s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled signed small
soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1 sync_accept_on
sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1
triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var vectored
virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
VERILOG = frozenset(_VERILOG.split())
"""Of IEEE 1800-2017, which has all of IEEE 1364-2005."""

_VHDL = """
abs access after alias all and architecture array assert assume assume_guarantee attribute begin block body buffer
bus case component configuration constant context cover default disconnect downto else elsif end entity exit fairness
file for force function generate generic group guarded if impure in inertial inout is label library linkage literal
loop map mod nand new next nor not null of on open or others out package parameter port postponed procedure process
property protected pure range record register reject release rem report restrict restrict_guarantee return rol ror
select sequence severity shared signal sla sll sra srl strong subtype then to transport type unaffected units until
use variable vmode vprop vunit wait when while with xnor xor
"""
VHDL = frozenset(_VHDL.split())
"""Of IEEE 1076-2008, in small letters: VHDL knows no others."""

_SYSTEM_RDL = """
abstract accesstype addressingtype addrmap alias all alternate bit boolean bothedge byte compact component
componentwidth constraint default encode enum external false field fullalign hw inside int internal level longint
mem na negedge nonsticky number onreadtype onwritetype posedge precedencetype property r rclr real ref reg regalign
regfile rset ruser rw rw1 shortint shortreal signal signed string struct sw this true type unsigned w w1 wclr with
within woclr woset wot wr wset wuser wzc wzs wzt
"""
SYSTEM_RDL = frozenset(_SYSTEM_RDL.split())
"""Of SystemRDL 2.0."""


def language_of(word: str) -> str | None:
    """The language that the word is a keyword of, or None."""
    if word in VERILOG:
        return "Verilog or SystemVerilog"
    if word in SYSTEM_RDL:
        return "SystemRDL"
    return "VHDL" if word.lower() in VHDL else None
