@{heading}
// Words of the registers of a head, from real numbers. C99 and later, C++; no library is needed.
//
@{notes}

#ifndef @{guard}
#define @{guard}

#include <float.h>
#include <stdint.h>

#include "@{header}"

// Words of @{block}[head], as they are written to its registers.
typedef struct {
    uint32_t threshold;
    uint32_t scale;
} @{entry}_t;

// Computes them. Returns 0; or -1, and leaves *entry as it is: tau must be @{tau_range}, and both steps above 0
// and finite.
static inline int @{entry}(double tau, double scale_q, double scale_k, @{entry}_t *entry) {
    const double root = @{root};  // of head_dim
    const double step = scale_q * scale_k * @{estimate_unit}.0;
    const double steps = tau * root / step;
    double x = 2.0 * (scale_q * scale_k / root) * @{log2_e} * @{exponent_unit}.0;
    int32_t threshold;
    uint32_t mantissa = 0;
    int shift = 0;

    if (!(tau >= @{tau_least} && tau <= DBL_MAX)) return -1;  // a NaN is neither
    if (!(scale_q > 0.0 && scale_q <= DBL_MAX && scale_k > 0.0 && scale_k <= DBL_MAX)) return -1;

    if (steps >= @{threshold_greatest}.0) {
        threshold = @{threshold_greatest};
    } else if (steps > @{threshold_least}.0) {
        threshold = (int32_t)steps;  // towards 0
        if (threshold > steps) threshold--;
    } else {
        threshold = @{threshold_least};
    }

    if (!(x < 65536.0)) {
        mantissa = 65535;
    } else {
        for (; x < 32768.0 && shift <= @{greatest_shift} + 1; shift++) x *= 2.0;
        mantissa = (uint32_t)x;
        x -= mantissa;
        if (x > 0.5 || (x == 0.5 && mantissa % 2 == 1)) mantissa++;  // ties to even
        if (mantissa == 65536) {
            mantissa = 32768;
            shift--;
        }
        if (shift < 0) {
            mantissa = 65535;
            shift = 0;
        } else if (shift > @{greatest_shift}) {
            mantissa = 0;
            shift = 0;
        }
    }
    entry->threshold = (uint32_t)threshold << @{macro}__THRESHOLD__THRESHOLD_bp;
    entry->threshold &= @{macro}__THRESHOLD__THRESHOLD_bm;  // of a negative one
    entry->scale = mantissa << @{macro}__SCALE__MANTISSA_bp;
    entry->scale |= (uint32_t)shift << @{macro}__SCALE__SHIFT_bp;
    return 0;
}

#endif
