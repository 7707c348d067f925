// The clock loop of `--simulator native`: a verilated core, its streams and what they record.
//
// Compiled with the model of one design into a shared library, which sim/simulators/native.py drives through the C
// functions at the end. `ports.h` is made from the JSON description of the design and names its ports:
//
//   PORTS(SOURCE, SINK, TAP)   one entry a stream, as (name, bytes of a payload): driven, taken from, observed
//   SIGNAL                     the free-running output that is read between cycles
//
// One cycle of a stream here is one of sim/lib/streams.py: the core is sampled before the clock edge, every transfer is
// noted with its cycle, and what the streams decide is driven after the edge. What is queued when is not decided here.

#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "ports.h"
#include "verilated.h"

// A port of any width is copied as bytes, least significant first, as sim/lib/layout.py has payloads.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "payloads are copied as little-endian bytes");

// Verilator's fatal errors (a loop that does not settle) end the run, not the process. The runtime is compiled with
// VL_USER_FATAL for this.
void vl_fatal(const char*, int, const char*, const char* message) { throw std::runtime_error(message); }

namespace {

constexpr int RESET_CYCLES = 4;
constexpr std::uint64_t NEVER = std::numeric_limits<std::uint64_t>::max();

// Make the model take the clock for low, so that a falling edge in which no input changes, and nothing of the core with
// it, costs no evaluation. The name is Verilator's own; a version without it evaluates every falling edge.
template <typename Root>
auto take_clock_for_low(Root& root, int) -> decltype(root.__Vtrigprevexpr___TOP__clk__0, true) {
    root.__Vtrigprevexpr___TOP__clk__0 = 0;
    return true;
}
template <typename Root>
bool take_clock_for_low(Root&, long) {
    return false;
}

// Whether a stream may start a transfer in a cycle. The draws come from sim.lib.streams.Pace.
struct Pace {
    bool always = true;
    std::vector<std::uint8_t> draws;
    std::size_t next = 0;

    bool go() { return always || draws.at(next++); }
    void add(const std::uint8_t* more, std::size_t count) {
        always = false;
        draws.erase(draws.begin(), draws.begin() + next);
        next = 0;
        draws.insert(draws.end(), more, more + count);
    }
};

struct Stream {
    std::size_t bytes;
    Pace pace;
    std::vector<std::uint8_t> payloads;  // of a source: queued and offered; else recorded
    std::vector<std::int64_t> cycles;    // of each transfer
    std::uint64_t awaited = NEVER;       // transfers after which a run stops

    explicit Stream(std::size_t bytes) : bytes(bytes) {}
    bool arrived() const { return cycles.size() >= awaited; }
};

struct Source : Stream {
    CData& valid;
    const CData& ready;
    void* payload;
    std::size_t offered = 0;  // payloads that were offered so far

    Source(std::size_t bytes, CData& valid, const CData& ready, void* payload)
        : Stream(bytes), valid(valid), ready(ready), payload(payload) {
        valid = 0;
        std::memset(payload, 0, bytes);
    }
    std::size_t waiting() const { return payloads.size() / bytes - cycles.size(); }
    bool offers() const { return cycles.size() < offered; }
    bool sample(std::int64_t cycle) {
        if (!(valid & ready)) return false;
        cycles.push_back(cycle);
        return true;
    }
    // Whether a pin has changed.
    bool drive() {
        if (offers()) return false;  // an offer stays until it is taken
        const CData before = valid;
        valid = waiting() != 0 && pace.go();
        if (valid) std::memcpy(payload, &payloads[bytes * offered++], bytes);
        return valid | before;
    }
};

struct Monitor : Stream {
    const CData& valid;
    const void* payload;

    Monitor(std::size_t bytes, const CData& valid, const void* payload)
        : Stream(bytes), valid(valid), payload(payload) {}
    void take(std::int64_t cycle) {
        const auto* first = static_cast<const std::uint8_t*>(payload);
        payloads.insert(payloads.end(), first, first + bytes);
        cycles.push_back(cycle);
    }
    bool sample(std::int64_t cycle) {
        if (valid) take(cycle);
        return valid;
    }
};

struct Sink : Monitor {
    CData& ready;

    Sink(std::size_t bytes, const CData& valid, const void* payload, CData& ready)
        : Monitor(bytes, valid, payload), ready(ready) {
        ready = 0;
    }
    bool sample(std::int64_t cycle) { return ready && Monitor::sample(cycle); }
    // Whether the pin has changed.
    bool drive() {
        const CData before = ready;
        ready = pace.go();
        return ready != before;
    }
};

class Bench {
  public:
    std::int64_t cycle = -1;           // counted from the end of reset: the one that was sampled last
    std::vector<Stream*> streams;      // in the order of PORTS
    std::vector<std::int64_t> status;  // the latest cycle with a transfer, and the number of transfers of each stream

    // State without an initial value starts at random: nothing may lean on it.
    explicit Bench(int seed) : top(randomised(context, seed)) {
#define SOURCE(name, bytes) sources.emplace_back(bytes, top.name##_valid, top.name##_ready, &top.name##_payload);
#define SINK(name, bytes) sinks.emplace_back(bytes, top.name##_valid, &top.name##_payload, top.name##_ready);
#define TAP(name, bytes) taps.emplace_back(bytes, top.name##_valid, &top.name##_payload);
        PORTS(SOURCE, SINK, TAP)
        auto source = sources.begin();
        auto sink = sinks.begin();
        auto tap = taps.begin();
#define NEXT_SOURCE(name, bytes) streams.push_back(&*source++);
#define NEXT_SINK(name, bytes) streams.push_back(&*sink++);
#define NEXT_TAP(name, bytes) streams.push_back(&*tap++);
        PORTS(NEXT_SOURCE, NEXT_SINK, NEXT_TAP)
        status.assign(1 + streams.size(), 0);
        top.rst = 1;
        for (int count = 0; count < RESET_CYCLES; ++count) {
            fall();
            rise();
        }
        top.rst = 0;
        fall();
    }
    ~Bench() { top.final(); }

    // On to the next cycle and further, until `until` is sampled or a stream has what it awaits.
    void run(std::int64_t until) {
        do {
            if (cycle >= 0) clock();
            ++cycle;
        } while (!sample() && cycle < until);
        auto entry = status.begin();
        *entry++ = last_transfer;
        for (const Stream* stream : streams) *entry++ = stream->cycles.size();
    }

    // Nothing but the model under its clock, with every input valid, its payload the last one, and every output ready:
    // a core at work in a bare loop, what `run` is measured against.
    void clock_only(std::int64_t cycles) {
        for (Source& source : sources) source.valid = 1;
        for (Sink& sink : sinks) sink.ready = 1;
        for (; cycles > 0; --cycles) {
            rise();
            fall();
        }
    }

    const Source& source(int stream) const { return static_cast<const Source&>(*streams[stream]); }
    const void* signal() const { return &top.SIGNAL; }

  private:
    VerilatedContext context;
    Vtop top;
    std::vector<Source> sources;
    std::vector<Sink> sinks;
    std::vector<Monitor> taps;
    std::int64_t last_transfer = 0;

    static VerilatedContext* randomised(VerilatedContext& context, int seed) {
        context.randReset(2);
        context.randSeed(seed);
        return &context;
    }
    void rise() {
        top.clk = 1;
        top.eval();
    }
    void fall() {
        top.clk = 0;
        top.eval();
    }
    // The edge between two cycles, and what is driven after it.
    void clock() {
        rise();
        bool changed = false;
        for (Source& source : sources) changed |= source.drive();
        for (Sink& sink : sinks) changed |= sink.drive();
        if (changed || !take_clock_for_low(*top.rootp, 0)) fall();
    }
    // Note every transfer of this cycle; whether a stream has what it awaits.
    bool sample() {
        bool moved = false;
        bool arrived = false;
        for (Source& source : sources) {
            moved |= source.sample(cycle);
            arrived |= source.arrived();
        }
        for (Sink& sink : sinks) {
            moved |= sink.sample(cycle);
            arrived |= sink.arrived();
        }
        for (Monitor& tap : taps) moved |= tap.sample(cycle);
        if (moved) last_transfer = cycle;
        return arrived;
    }
};

}  // namespace

// --- the functions that Python calls ---------------------------------------------------------------------------------

namespace {

thread_local std::string fault;

// What `act` gives; or, when it throws, -1 with the words in `fault`.
template <typename Act>
std::int64_t guarded(Act act) {
    try {
        return act();
    } catch (const std::exception& problem) {
        fault = problem.what();
        return -1;
    }
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT const char* latte_fault() { return fault.c_str(); }

// A core after reset, or a null pointer.
EXPORT Bench* latte_new(int seed) {
    Bench* bench = nullptr;
    guarded([&] { bench = new Bench(seed); return 0; });
    return bench;
}
EXPORT void latte_delete(Bench* bench) { delete bench; }

// The cycle that was sampled last; negative on a fault.
EXPORT std::int64_t latte_run(Bench* bench, std::int64_t until) {
    return guarded([&] { bench->run(until); return bench->cycle; });
}
EXPORT std::int64_t latte_clock_only(Bench* bench, std::int64_t cycles) {
    return guarded([&] { bench->clock_only(cycles); return 0; });
}
EXPORT const void* latte_signal(const Bench* bench) { return bench->signal(); }
// After every run: the latest cycle with a transfer, and the number of transfers of each stream.
EXPORT const std::int64_t* latte_status(const Bench* bench) { return bench->status.data(); }

EXPORT int latte_streams(const Bench* bench) { return static_cast<int>(bench->streams.size()); }

// One stream, by its number in PORTS.
EXPORT void latte_push(Bench* bench, int stream, const std::uint8_t* payloads, std::uint64_t count) {
    Stream& source = *bench->streams[stream];
    source.payloads.insert(source.payloads.end(), payloads, payloads + count * source.bytes);
}
EXPORT void latte_pace(Bench* bench, int stream, const std::uint8_t* draws, std::uint64_t count) {
    bench->streams[stream]->pace.add(draws, count);
}
EXPORT std::uint64_t latte_draws_left(const Bench* bench, int stream) {
    const Pace& pace = bench->streams[stream]->pace;
    return pace.draws.size() - pace.next;
}
EXPORT void latte_await(Bench* bench, int stream, std::uint64_t transfers) { bench->streams[stream]->awaited = transfers; }
EXPORT const void* latte_cycles(const Bench* bench, int stream) { return bench->streams[stream]->cycles.data(); }
EXPORT const void* latte_payloads(const Bench* bench, int stream) { return bench->streams[stream]->payloads.data(); }
// Of a source: payloads not transferred yet, and whether the first of them is offered.
EXPORT std::uint64_t latte_waiting(Bench* bench, int stream) { return bench->source(stream).waiting(); }
EXPORT int latte_offers(Bench* bench, int stream) { return bench->source(stream).offers(); }
