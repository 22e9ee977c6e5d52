/* Reads a bridge file as fast as the machine can, by the protocol described in ktrdr/operations/bridge.py, and counts
   what it accepted although no writer ever wrote it.

   hammer FILE RECORDS_OFFSET COLUMNS ring|one-slot

   State n of benchmarks/torn_reads.py is (phase, n, 3n, 5n, 7n, instant); phase 1 ends the run. Record i, from 1, holds
   an instant and i, 2i, 3i ... Stores and loads must keep their order, as on x86. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 4, SLOT_BYTES = 64, STATE_BYTES = 48, STATE_FIELDS = 6 };

static int file;
static uint8_t *bytes;
static size_t mapped;

static uint64_t number_at(size_t offset) { return __atomic_load_n((uint64_t *)(bytes + offset), __ATOMIC_ACQUIRE); }

static double double_at(size_t offset) {
    uint64_t bits = number_at(offset);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void map_file(void) {
    struct stat status;
    fstat(file, &status);
    if ((size_t)status.st_size == mapped) return;
    if (bytes) munmap(bytes, mapped);
    mapped = (size_t)status.st_size;
    bytes = mmap(NULL, mapped, PROT_READ, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED) exit(1);
}

/* The newest state: 1 when it was read whole, 0 when the reader has to try again. */
static int read_ring(size_t states, int64_t state[STATE_FIELDS]) {
    uint64_t newest = 0;
    for (int slot = 0; slot < SLOTS; slot++) {
        uint64_t number = number_at(states + slot * SLOT_BYTES + STATE_BYTES);
        if (number > newest) newest = number;
    }
    size_t slot = states + newest % SLOTS * SLOT_BYTES;
    size_t front = states + (newest + SLOTS - 1) % SLOTS * SLOT_BYTES;
    for (int i = 0; i < STATE_FIELDS; i++) state[i] = (int64_t)number_at(slot + 8 * i);
    return number_at(front + STATE_BYTES) <= newest && number_at(slot + STATE_BYTES) == newest;
}

/* The obvious form, which is wrong: one slot across two cache lines, a number before and a number after. */
static int read_one_slot(size_t states, int64_t state[STATE_FIELDS]) {
    states += 32;
    uint64_t begin = number_at(states);
    for (int i = 0; i < STATE_FIELDS; i++) state[i] = (int64_t)number_at(states + 8 + 8 * i);
    return begin && number_at(states + 8 + STATE_BYTES) == begin;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    size_t records = strtoul(argv[2], NULL, 10), columns = strtoul(argv[3], NULL, 10);
    int is_ring = !strcmp(argv[4], "ring");
    size_t states = records - SLOTS * SLOT_BYTES, record_bytes = 8 * (columns + 2), next = records;
    uint64_t state_reads = 0, retries = 0, record_reads = 0, torn_states = 0, torn_records = 0;
    int64_t state[STATE_FIELDS], last_step = 0;
    int is_over = 0;

    file = open(argv[1], O_RDONLY);
    if (file < 0) return 1;
    map_file();
    puts("reading");
    fflush(stdout);
    while (!is_over) {
        if (!(is_ring ? read_ring(states, state) : read_one_slot(states, state))) {
            retries++;
            continue;
        }
        state_reads++;
        is_over = state[0] == 1;
        int64_t step = state[1];
        torn_states += state[2] != 3 * step || state[3] != 5 * step || state[4] != 7 * step || step < last_step;
        last_step = step;
        if (next + record_bytes > mapped && (is_over || state_reads % 1024 == 0)) map_file();
        while (next + record_bytes <= mapped && number_at(next + record_bytes - 8) == next) {
            double index = (double)((next - records) / record_bytes + 1);
            int is_torn = double_at(next) <= 0;
            for (size_t i = 0; i < columns; i++) is_torn |= double_at(next + 8 + 8 * i) != index * (double)(i + 1);
            torn_records += (uint64_t)is_torn;
            record_reads++;
            next += record_bytes;
        }
    }
    printf("{\"state_reads\": %lu, \"retries\": %lu, \"record_reads\": %lu, \"torn_states\": %lu, \"torn_records\": %lu}\n",
           state_reads, retries, record_reads, torn_states, torn_records);
    return 0;
}
