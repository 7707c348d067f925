/* examples/latte.c as a library whose device is a simulation: its words and its interrupt come from functions that
 * `simulate` is given, and its device file behaves as one of UIO. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

typedef uint32_t read_t(uint32_t offset);
typedef void write_t(uint32_t offset, uint32_t word);
typedef int wait_t(int milliseconds); /* whether the line is high, at the latest then */

static read_t *read_simulated;
static write_t *write_simulated;
static wait_t *wait_simulated;

static int masked = 1, pending, enabled;

void simulate(read_t *read_word, write_t *write_word, wait_t *wait_irq) {
    read_simulated = read_word;
    write_simulated = write_word;
    wait_simulated = wait_irq;
}

int times_enabled(void) { return enabled; }

static ssize_t uio_write(const void *bytes, size_t size) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    if (size != sizeof word || word != 1)
        return -1;
    masked = 0;
    enabled++;
    return size;
}

static int uio_poll(struct pollfd *file, int milliseconds) {
    if (!pending && !masked && wait_simulated(milliseconds)) {
        masked = 1;
        pending = 1;
    }
    file->revents = pending ? POLLIN : 0;
    return pending;
}

static ssize_t uio_read(size_t size) {
    if (!pending) /* would wait for ever */
        return -1;
    pending = 0;
    return size;
}

#define READ_WORD(offset) read_simulated(offset)
#define WRITE_WORD(offset, word) write_simulated(offset, word)
#define open(path, flags) 3
#define mmap(...) ((void *)&masked)
#define write(file, bytes, size) uio_write(bytes, size)
#define poll(file, count, milliseconds) uio_poll(file, milliseconds)
#define read(file, bytes, size) uio_read((*(bytes) = 1, size))
#define main latte_main

#include "latte.c"
