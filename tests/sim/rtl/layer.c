/* One layer on a LATTE core, written from the files that `latte generate --core top` writes and no others: registers by
 * latte_regs.h, the table's words and the steps by latte_program.h. Real numbers go in, steps and bytes are made here.
 * Registers and streams are functions of whoever loads this: a simulation.
 */
#include <math.h>
#include <stddef.h>

#include "latte_program.h"

typedef struct {
    uint32_t (*read)(uint32_t address);
    void (*write)(uint32_t address, uint32_t word);
    void (*send)(int stream, const int8_t *packet, uint32_t bytes); /* 0, 1, 2: q, k, v */
    int (*receive)(int8_t *packet, uint32_t bytes);                 /* whether one has come */
    void (*wait)(void);
} core_t;

#define REGISTER(name) ((uint32_t)offsetof(latte_t, name))

enum { HEAD_DIM = LATTE__CAPABILITIES_0__HEAD_DIM_reset, OUT_BYTES = LATTE__CAPABILITIES_1__OUT_BYTES_reset };
enum { ELEMENT_MAX = LATTE__CAPABILITIES_2__ELEMENT_MAX_reset, VALUE_MAX = 127 };

/* Rows of one head in int8; the step, which is max|x| / greatest. */
static float quantise(const float *x, uint32_t count, int greatest, int8_t *elements) {
    float largest = 0.0f;
    for (uint32_t i = 0; i < count; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    float step = largest > 0.0f ? largest / (float)greatest : 1.0f;
    for (uint32_t i = 0; i < count; i++) {
        float rounded = rintf(x[i] / step);
        elements[i] = (int8_t)fminf(rounded, (float)greatest);
    }
    return step;
}

/* q is heads x queries x HEAD_DIM, k and v are kv_heads x keys x HEAD_DIM; out is heads x queries x HEAD_DIM elements of
 * OUT_BYTES bytes. Scratch holds as many bytes as q, k and v have elements. Returns the errors register, or -1. */
int64_t layer(const core_t *core, uint32_t heads, uint32_t kv_heads, uint32_t queries, uint32_t keys, const float *q,
              const float *k, const float *v, const double *tau, int8_t *scratch, int8_t *out) {
    const uint32_t group = heads / kv_heads, q_size = queries * HEAD_DIM, kv_size = keys * HEAD_DIM;
    float scale_k[64];
    int8_t *q8 = scratch, *k8 = q8 + heads * q_size, *v8 = k8 + kv_heads * kv_size;

    if (core->read(REGISTER(id)) != LATTE__ID__ID_reset) return -1;
    if (core->read(REGISTER(config_hash_0)) != LATTE__CONFIG_HASH_0__HASH_reset) return -1;
    for (uint32_t head = 0; head < kv_heads; head++) {
        scale_k[head] = quantise(k + head * kv_size, kv_size, ELEMENT_MAX, k8 + head * kv_size);
        quantise(v + head * kv_size, kv_size, VALUE_MAX, v8 + head * kv_size);
    }
    for (uint32_t head = 0; head < heads; head++) {
        float scale_q = quantise(q + head * q_size, q_size, ELEMENT_MAX, q8 + head * q_size);
        uint32_t entry_address = REGISTER(head_table) + head * (uint32_t)sizeof(latte__head_table_t);
        latte_entry_t entry;
        if (latte_entry(tau[head], scale_q, scale_k[head / group], &entry)) return -1;
        core->write(entry_address + (uint32_t)offsetof(latte__head_table_t, threshold), entry.threshold);
        core->write(entry_address + (uint32_t)offsetof(latte__head_table_t, scale), entry.scale);
    }
    core->write(REGISTER(layer_heads),
                heads << LATTE__LAYER_HEADS__HEADS_bp | group << LATTE__LAYER_HEADS__GROUP_SIZE_bp);
    core->write(REGISTER(layer_lengths),
                queries << LATTE__LAYER_LENGTHS__N_QUERIES_bp | keys << LATTE__LAYER_LENGTHS__N_KEYS_bp);
    core->write(REGISTER(causal_offset), (keys - queries) & LATTE__CAUSAL_OFFSET__OFFSET_bm);
    core->write(REGISTER(errors), core->read(REGISTER(errors)));

    for (uint32_t head = 0; head < heads; head++) /* may be there before START */
        core->send(0, q8 + head * q_size, q_size);
    for (uint32_t head = 0; head < kv_heads; head++) {
        core->send(1, k8 + head * kv_size, kv_size);
        core->send(2, v8 + head * kv_size, kv_size);
    }
    core->write(REGISTER(control), LATTE__CONTROL__START_bm);
    for (uint32_t head = 0; head < heads;) {
        if (core->receive(out + head * q_size * OUT_BYTES, q_size * OUT_BYTES))
            head++;
        else if (core->read(REGISTER(status)) & LATTE__STATUS__BUSY_bm)
            core->wait();
        else if (!(core->read(REGISTER(status)) & LATTE__STATUS__DONE_bm))
            return core->read(REGISTER(errors)); /* refused */
    }
    while (!(core->read(REGISTER(status)) & LATTE__STATUS__DONE_bm))
        core->wait();
    return core->read(REGISTER(errors));
}
