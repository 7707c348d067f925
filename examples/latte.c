/* Runs one layer on a LATTE core from C, with the header that `latte generate --core top` writes:
 *
 *     cc -std=c11 -Irtl examples/latte.c -o latte && ./latte /dev/uio0 0 9 3 256 256
 *
 * Arguments: a device file to map and the offset of the registers in it, then query heads, K/V heads, queries and keys.
 * The packets of q, k, v and the output are the DMA engine's work, which is not shown: start it where it says so.
 */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "latte_regs.h"

/* Whole words through a plain pointer: the header's structure is packed, so a compiler may access it by bytes, and the
 * core answers a write of less than a word with an error. */
static volatile uint32_t *base;

#define REGISTER(name) base[offsetof(latte_t, name) / 4]

static int is_this_core(void) {
    return REGISTER(id) == LATTE__ID__ID_reset && REGISTER(config_hash_0) == LATTE__CONFIG_HASH_0__HASH_reset &&
           REGISTER(config_hash_1) == LATTE__CONFIG_HASH_1__HASH_reset;
}

/* Threshold in steps of the estimate; mantissa and shift as HeadParams.softmax_scale_register gives them. */
static void write_head(unsigned head, uint32_t threshold, uint32_t mantissa, uint32_t shift) {
    volatile uint32_t *entry = base + (offsetof(latte_t, head_table) + head * sizeof(latte__head_table_t)) / 4;
    entry[offsetof(latte__head_table_t, threshold) / 4] = threshold;
    entry[offsetof(latte__head_table_t, scale) / 4] =
        mantissa << LATTE__HEAD_TABLE__SCALE__MANTISSA_bp | shift << LATTE__HEAD_TABLE__SCALE__SHIFT_bp;
}

static void start_layer(uint32_t heads, uint32_t kv_heads, uint32_t queries, uint32_t keys) {
    REGISTER(layer_heads) =
        heads << LATTE__LAYER_HEADS__HEADS_bp | heads / kv_heads << LATTE__LAYER_HEADS__GROUP_SIZE_bp;
    REGISTER(layer_lengths) =
        queries << LATTE__LAYER_LENGTHS__N_QUERIES_bp | keys << LATTE__LAYER_LENGTHS__N_KEYS_bp;
    REGISTER(causal_offset) = keys - queries;
    REGISTER(errors) = REGISTER(errors); /* writing a one clears a bit */
    REGISTER(control) = LATTE__CONTROL__START_bm;
}

/* Sticky errors at the end; a refused START is not busy and not done. */
static uint32_t wait_for_layer(void) {
    while (REGISTER(status) & LATTE__STATUS__BUSY_bm) {
    }
    return REGISTER(errors);
}

int main(int count, char **arguments) {
    if (count != 7) {
        fprintf(stderr, "usage: %s DEVICE OFFSET HEADS KV_HEADS QUERIES KEYS\n", arguments[0]);
        return 2;
    }
    uint32_t numbers[5];
    for (int i = 0; i < 5; i++)
        numbers[i] = strtoul(arguments[i + 2], NULL, 0);
    int file = open(arguments[1], O_RDWR | O_SYNC);
    void *mapped = file < 0 ? MAP_FAILED
                            : mmap(NULL, sizeof(latte_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, numbers[0]);
    if (mapped == MAP_FAILED) {
        perror(arguments[1]);
        return 2;
    }
    base = mapped;
    if (!is_this_core()) {
        fprintf(stderr, "the core is not the one that latte_regs.h was made for\n");
        return 2;
    }
    for (unsigned head = 0; head < numbers[1]; head++)
        write_head(head, 40, 40000, 17);
    start_layer(numbers[1], numbers[2], numbers[3], numbers[4]);
    /* Here the DMA engine sends q, k and v and takes the output. */
    uint32_t errors = wait_for_layer();
    printf("errors: %#x\n", (unsigned)errors);
    return errors != 0;
}
