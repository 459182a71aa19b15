/* Preloaded under a test: counts calls of the allocator between count_begin and count_end. */
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static volatile int counting;
static volatile long calls;

void count_begin(void) { counting = 1; }
void count_end(void) { counting = 0; }
long count_calls(void) { return calls; }

void *malloc(size_t size) { calls += counting; return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { calls += counting; return __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { calls += counting; return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { calls += counting; return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { calls += counting; return __libc_memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
    calls += counting;
    *out = __libc_memalign(alignment, size);
    return *out == NULL ? 12 : 0;
}
