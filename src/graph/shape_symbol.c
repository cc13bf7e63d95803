// Arithmetic on symbolic integers. Results are named by expressions ("past+1", "batch*sequence") in
// a canonical order, so that equal results have equal names; only what the rules need is
// simplified.
#include "graph/shape_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Longest generated name, and most factors of a product.
enum { MAX_SYMBOL = 160, MAX_FACTORS = 32 };

SymInt sym_from_dim(Dim dim) {
    if (dim.size >= 0)
        return sym_known(dim.size);
    return (SymInt){.symbol = dim.symbol};
}

Dim dim_from_sym(SymInt a) {
    if (!a.is_known)
        return (Dim){.size = -1, .symbol = a.symbol};
    return (Dim){.size = a.value >= 0 ? a.value : -1};
}

bool sym_equal(SymInt a, SymInt b) {
    if (a.is_known || b.is_known)
        return a.is_known && b.is_known && a.value == b.value;
    return a.symbol && b.symbol && strcmp(a.symbol, b.symbol) == 0;
}

bool sym_differ(SymInt a, SymInt b) {
    if (a.is_known && b.is_known)
        return a.value != b.value;
    // A named number is a dim, which is never negative.
    return (a.is_known && a.value < 0 && b.symbol) || (b.is_known && b.value < 0 && a.symbol);
}

// The graph's copy of this name. Names that some dim already has are shared, so that inferring
// again and again does not grow the arena.
static SymInt sym_named(ShapeContext *context, const char *name) {
    Graph *graph = context->graph;
    for (ValueId i = 0; i < graph->n_values; i++) {
        for (int j = 0; j < TENSOR_MAX_RANK; j++) {
            const char *present = graph->values[i].dims[j].symbol;
            if (present && strcmp(present, name) == 0)
                return (SymInt){.symbol = present};
        }
    }
    const char *copy = arena_strdup(&graph->arena, name);
    if (!copy)
        context->is_out_of_memory = true;
    return (SymInt){.symbol = copy};
}

// Splits "name+12" into "name" and 12. False when the name has no such ending.
static bool split_offset(const char *symbol, size_t *base_len, int64_t *offset) {
    size_t len = strlen(symbol);
    size_t at = len;
    while (at > 0 && symbol[at - 1] >= '0' && symbol[at - 1] <= '9')
        at--;
    *base_len = len;
    *offset = 0;
    if (at < 2 || at == len || (symbol[at - 1] != '+' && symbol[at - 1] != '-'))
        return false;
    int64_t number;
    if (!sv_to_i64(&number, sv_n(symbol + at, len - at)))
        return false;
    *base_len = at - 1;
    *offset = symbol[at - 1] == '-' ? -number : number;
    return true;
}

static SymInt add_number(ShapeContext *context, const char *symbol, int64_t number) {
    size_t base_len;
    int64_t offset;
    char name[MAX_SYMBOL];
    split_offset(symbol, &base_len, &offset);
    if (__builtin_add_overflow(offset, number, &offset))
        return sym_unknown();
    int len = offset == 0 ? snprintf(name, sizeof(name), "%.*s", (int)base_len, symbol)
                          : snprintf(name, sizeof(name), "%.*s%+lld", (int)base_len, symbol,
                                     (long long)offset);
    return len < MAX_SYMBOL ? sym_named(context, name) : sym_unknown();
}

SymInt sym_add(ShapeContext *context, SymInt a, SymInt b) {
    int64_t sum;
    if (a.is_known && b.is_known)
        return __builtin_add_overflow(a.value, b.value, &sum) ? sym_unknown() : sym_known(sum);
    if (sym_is(b, 0))
        return a;
    if (sym_is(a, 0))
        return b;
    if (a.symbol && b.is_known)
        return add_number(context, a.symbol, b.value);
    if (b.symbol && a.is_known)
        return add_number(context, b.symbol, a.value);
    if (!a.symbol || !b.symbol)
        return sym_unknown();
    size_t base_a, base_b;
    int64_t offset_a, offset_b;
    if (split_offset(a.symbol, &base_a, &offset_a) || split_offset(b.symbol, &base_b, &offset_b))
        return sym_unknown();
    bool in_order = strcmp(a.symbol, b.symbol) <= 0;
    char name[MAX_SYMBOL];
    int len = snprintf(name, sizeof(name), "%s+%s", in_order ? a.symbol : b.symbol,
                       in_order ? b.symbol : a.symbol);
    return len < MAX_SYMBOL ? sym_named(context, name) : sym_unknown();
}

// The sum "a+b" without one of its terms; unknown when `term` is not one.
static SymInt remove_term(ShapeContext *context, const char *sum, const char *term) {
    size_t sum_len = strlen(sum);
    size_t term_len = strlen(term);
    char name[MAX_SYMBOL];
    if (term_len + 2 > sum_len || sum_len >= sizeof(name) || strpbrk(sum, "-()/ "))
        return sym_unknown();
    size_t rest_len = sum_len - term_len - 1;
    const char *rest;
    if (sum[term_len] == '+' && strncmp(sum, term, term_len) == 0)
        rest = sum + term_len + 1;
    else if (sum[rest_len] == '+' && strcmp(sum + rest_len + 1, term) == 0)
        rest = sum;
    else
        return sym_unknown();
    memcpy(name, rest, rest_len);
    name[rest_len] = '\0';
    int64_t number;
    return sv_to_i64(&number, sv_n(name, rest_len)) ? sym_known(number) : sym_named(context, name);
}

SymInt sym_sub(ShapeContext *context, SymInt a, SymInt b) {
    int64_t difference;
    if (a.is_known && b.is_known)
        return __builtin_sub_overflow(a.value, b.value, &difference) ? sym_unknown()
                                                                     : sym_known(difference);
    if (sym_is(b, 0))
        return a;
    if (sym_equal(a, b))
        return sym_known(0);
    // The difference may be negative and a name may not, so only constant offsets are followed
    // that leave at least the name itself.
    size_t base_len;
    int64_t offset;
    if (a.symbol && b.is_known && b.value != INT64_MIN &&
        (b.value < 0 || (split_offset(a.symbol, &base_len, &offset) && offset >= b.value)))
        return add_number(context, a.symbol, -b.value);
    if (a.symbol && b.symbol)
        return remove_term(context, a.symbol, b.symbol);
    return sym_unknown();
}

typedef struct Product {
    int64_t number;
    StrView factors[MAX_FACTORS];
    int count;
    bool is_unknown;
} Product;

static void product_add_number(Product *product, int64_t number) {
    if (__builtin_mul_overflow(product->number, number, &product->number))
        product->is_unknown = true;
}

static void product_add_factor(Product *product, StrView factor) {
    int64_t number;
    bool is_digit = factor.len > 0 && factor.ptr[0] >= '0' && factor.ptr[0] <= '9';
    if (is_digit && sv_to_i64(&number, factor))
        product_add_number(product, number);
    else if (product->count < MAX_FACTORS)
        product->factors[product->count++] = factor;
    else
        product->is_unknown = true;
}

// Multiplies by `a`; a name that is itself a plain product is taken apart.
static void product_add(Product *product, SymInt a) {
    if (a.is_known) {
        product_add_number(product, a.value);
        return;
    }
    if (!a.symbol) {
        product->is_unknown = true;
        return;
    }
    if (strpbrk(a.symbol, "+-/() ")) {
        product_add_factor(product, sv(a.symbol));
        return;
    }
    const char *at = a.symbol;
    for (const char *star = strchr(at, '*'); star; star = strchr(at, '*')) {
        product_add_factor(product, sv_n(at, (size_t)(star - at)));
        at = star + 1;
    }
    product_add_factor(product, sv(at));
}

static int compare_factors(const void *a, const void *b) {
    const StrView *x = a;
    const StrView *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->ptr, y->ptr, len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

// The product as one symbolic integer. Factors that are sums cannot be put into a name.
static SymInt product_name(ShapeContext *context, Product *product) {
    if (product->is_unknown)
        return sym_unknown();
    if (product->count == 0 || product->number == 0)
        return sym_known(product->number);
    if (product->number < 0)
        return sym_unknown();
    char name[MAX_SYMBOL];
    size_t len = 0;
    qsort(product->factors, (size_t)product->count, sizeof(StrView), compare_factors);
    if (product->number != 1)
        len = (size_t)snprintf(name, sizeof(name), "%lld*", (long long)product->number);
    for (int i = 0; i < product->count; i++) {
        StrView factor = product->factors[i];
        bool is_sum = false;
        for (size_t j = 0; j < factor.len; j++)
            is_sum = is_sum || strchr("+-/() ", factor.ptr[j]);
        bool is_alone = product->count == 1 && product->number == 1;
        if ((is_sum && !is_alone) || len + factor.len + 2 > sizeof(name))
            return sym_unknown();
        memcpy(name + len, factor.ptr, factor.len);
        len += factor.len;
        name[len++] = '*';
    }
    name[len - 1] = '\0';
    return sym_named(context, name);
}

SymInt sym_mul(ShapeContext *context, SymInt a, SymInt b) {
    Product product = {.number = 1};
    product_add(&product, a);
    product_add(&product, b);
    return product_name(context, &product);
}

// Removes one factor equal to `factor`; false when there is none.
static bool product_cancel(Product *product, StrView factor) {
    for (int i = 0; i < product->count; i++) {
        if (sv_equal(product->factors[i], factor)) {
            product->factors[i] = product->factors[--product->count];
            return true;
        }
    }
    return false;
}

SymInt sym_divide(ShapeContext *context, const SymInt *a, int n_a, const SymInt *b, int n_b,
                  bool *is_wrong) {
    Product over = {.number = 1};
    Product under = {.number = 1};
    *is_wrong = false;
    for (int i = 0; i < n_a; i++)
        product_add(&over, a[i]);
    for (int i = 0; i < n_b; i++)
        product_add(&under, b[i]);
    if (over.is_unknown || under.is_unknown || under.number == 0)
        return sym_unknown();
    bool is_cancelled = true;
    for (int i = 0; i < under.count; i++)
        is_cancelled = product_cancel(&over, under.factors[i]) && is_cancelled;
    if (over.number % under.number != 0) {
        *is_wrong = is_cancelled && over.count == 0;
        return sym_unknown();
    }
    over.number /= under.number;
    return is_cancelled ? product_name(context, &over) : sym_unknown();
}
