/* Runs one layer on a LATTE core from C, with the header that `latte generate --core top` writes:
 *
 *     cc -std=c11 -Irtl examples/latte.c -o latte && ./latte /dev/uio0 0 9 3 256 256 irq
 *
 * Arguments: a device file to map and the offset of the registers in it, then query heads, K/V heads, queries and keys;
 * `irq` if the device file is that of a UIO device with the core's interrupt, otherwise the core is polled.
 * The packets of q, k, v and the output are the DMA engine's work, which is not shown: start it where it says so.
 */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "latte_regs.h"

#define LONGEST_SECONDS 1 /* for a layer; its packets must move meanwhile */

/* Whole words through a plain pointer: the header's structure is packed, so a compiler may access it by bytes, and the
 * core answers a write of less than a word with an error. */
static volatile uint32_t *base;

#ifndef READ_WORD /* a simulation has its own */
#define READ_WORD(offset) base[(offset) / 4]
#define WRITE_WORD(offset, word) (base[(offset) / 4] = (word))
#endif

#define READ(name) READ_WORD(offsetof(latte_t, name))
#define WRITE(name, word) WRITE_WORD(offsetof(latte_t, name), word)

static int is_this_core(void) {
    return READ(id) == LATTE__ID__ID_reset && READ(config_hash_0) == LATTE__CONFIG_HASH_0__HASH_reset &&
           READ(config_hash_1) == LATTE__CONFIG_HASH_1__HASH_reset;
}

/* Threshold in steps of the estimate; mantissa and shift as HeadParams.softmax_scale_register gives them. */
static void write_head(unsigned head, uint32_t threshold, uint32_t mantissa, uint32_t shift) {
    const size_t entry = offsetof(latte_t, head_table) + head * sizeof(latte__head_table_t);
    WRITE_WORD(entry + offsetof(latte__head_table_t, threshold), threshold);
    WRITE_WORD(entry + offsetof(latte__head_table_t, scale),
               mantissa << LATTE__HEAD_TABLE__SCALE__MANTISSA_bp | shift << LATTE__HEAD_TABLE__SCALE__SHIFT_bp);
}

static void start_layer(uint32_t heads, uint32_t kv_heads, uint32_t queries, uint32_t keys, int with_irq) {
    WRITE(layer_heads, heads << LATTE__LAYER_HEADS__HEADS_bp | heads / kv_heads << LATTE__LAYER_HEADS__GROUP_SIZE_bp);
    WRITE(layer_lengths, queries << LATTE__LAYER_LENGTHS__N_QUERIES_bp | keys << LATTE__LAYER_LENGTHS__N_KEYS_bp);
    WRITE(causal_offset, keys - queries);
    WRITE(errors, READ(errors)); /* writing a one clears a bit */
    WRITE(irq_status, READ(irq_status));
    WRITE(irq_enable, with_irq ? LATTE__IRQ_ENABLE__DONE_bm | LATTE__IRQ_ENABLE__ERROR_bm : 0);
    WRITE(control, LATTE__CONTROL__START_bm);
}

/* Whether the core's interrupt comes. The kernel masks it when it has come: a written 1 lets it through again, at once
 * if it is high already, so that none is lost between two calls. */
static int irq_comes(int uio, int milliseconds) {
    const uint32_t let_through = 1;
    uint32_t count;
    struct pollfd waited = {.fd = uio, .events = POLLIN};
    if (write(uio, &let_through, sizeof let_through) != sizeof let_through || poll(&waited, 1, milliseconds) != 1)
        return 0;
    return read(uio, &count, sizeof count) == sizeof count;
}

/* Whether the layer ends in time, which a refused START does at once. `uio` is -1 to poll. */
static int layer_ends(int uio) {
    const time_t end = time(NULL) + 1 + LONGEST_SECONDS;
    while (READ(status) & LATTE__STATUS__BUSY_bm) {
        if (time(NULL) > end || (uio >= 0 && !irq_comes(uio, 1000 * LONGEST_SECONDS)))
            return 0;
        if (uio >= 0)
            WRITE(irq_status, READ(irq_status)); /* it came for an error: the end is still to come */
    }
    WRITE(irq_enable, 0);
    return 1;
}

int main(int count, char **arguments) {
    const int with_irq = count == 8 && strcmp(arguments[7], "irq") == 0;
    if (count != 7 && !with_irq) {
        fprintf(stderr, "usage: %s DEVICE OFFSET HEADS KV_HEADS QUERIES KEYS [irq]\n", arguments[0]);
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
    start_layer(numbers[1], numbers[2], numbers[3], numbers[4], with_irq);
    /* Here the DMA engine sends q, k and v and takes the output. */
    if (!layer_ends(with_irq ? file : -1)) {
        fprintf(stderr, "the layer does not end within %d s: do its packets move?\n", LONGEST_SECONDS);
        return 3;
    }
    uint32_t errors = READ(errors);
    printf("errors: %#x\n", (unsigned)errors);
    return errors != 0;
}
