/* Remembers what a fuzz target allocates while it prepares, so that every execution can begin from the same bytes.

   Included before everything else (clang -include), so that calloc and malloc of the kernels come through here. */
#ifndef SHADOWLAND_FUZZ_MEMORY
#define SHADOWLAND_FUZZ_MEMORY
#include <stdlib.h>
#include <string.h>

enum { FUZZ_PIECES = 64 };
static struct { char* at; char* copy; size_t size; int rare; } fuzz_pieces[FUZZ_PIECES];
static int fuzz_count, fuzz_recording;

static void* fuzz_remember(void* at, size_t size) {
    if (fuzz_recording && at) {
        if (fuzz_count == FUZZ_PIECES) abort();
        fuzz_pieces[fuzz_count].at = (char*)at;
        fuzz_pieces[fuzz_count].copy = (char*)malloc(size);
        fuzz_pieces[fuzz_count++].size = size;
    }
    return at;
}
static void* fuzz_calloc(size_t count, size_t size) { return fuzz_remember(calloc(count, size), count * size); }
static void* fuzz_malloc(size_t size) { return fuzz_remember(malloc(size), size); }

/* Bytes that no execution looks at before it has written them need not be brought back. */
static void fuzz_forget(void* at) {
    for (int i = 0; i < fuzz_count; i++)
        if (fuzz_pieces[i].at == (char*)at) fuzz_pieces[i].size = 0;
}
/* Bytes that the target brings back only when it knows that they changed. */
static void fuzz_rarely(void* at) {
    for (int i = 0; i < fuzz_count; i++)
        if (fuzz_pieces[i].at == (char*)at) fuzz_pieces[i].rare = 1;
}
static void fuzz_save(void) {
    for (int i = 0; i < fuzz_count; i++) memcpy(fuzz_pieces[i].copy, fuzz_pieces[i].at, fuzz_pieces[i].size);
}
static void fuzz_restore(int rare) {
    for (int i = 0; i < fuzz_count; i++)
        if (rare || !fuzz_pieces[i].rare) memcpy(fuzz_pieces[i].at, fuzz_pieces[i].copy, fuzz_pieces[i].size);
}
#define calloc fuzz_calloc
#define malloc fuzz_malloc
#endif
