#include "compute/net/net_norm.h"
#include <math.h>
#include <stdlib.h>
#include "shaders/net/shaders.h"

#define GROUP 8u // invocations along an axis of a plane

struct moments_push { // of shaders/net/moments.comp
    uint32_t columns, rows, quads, channels;
};
struct norm_push { // of shaders/net/norm.comp
    uint32_t columns, rows, quads, channels;
    float slope;
};

static const struct kernel moments_kernel = {.shader = &shader_net_moments,
                                             .group = {GROUP, GROUP, 1},
                                             .push_bytes = sizeof(struct moments_push),
                                             .bindings = 2,
                                             .access = {KERNEL_TEXELS, KERNEL_OUT}};

static uint32_t most_normed_channels(const struct net *n)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->layers[i].norm && n->layers[i].out > most)
            most = n->layers[i].out;
    }
    return most;
}

static uint64_t moments_bytes(const struct net *n, const uint32_t dim[3])
{
    return net_round_up(2 * sizeof(float) * most_normed_channels(n) * dim[1], NET_ALIGN);
}

static uint64_t coeffs_bytes(const struct net *n)
{
    return net_round_up(2 * sizeof(float) * most_normed_channels(n), NET_ALIGN);
}

uint64_t net_norm_bytes(const struct net *n, const uint32_t dim[3])
{
    return moments_bytes(n, dim) * dim[2] + coeffs_bytes(n);
}

bool net_norm_init(struct net_norm *m, const struct net *n, struct err *err)
{
    m->plane_bytes = moments_bytes(n, m->dim);
    m->moments = gpu_buf_create(m->gpu, "net moments", m->plane_bytes * m->dim[2], err);
    m->coeffs = m->moments ? gpu_buf_create(m->gpu, "net norm", coeffs_bytes(n), err) : NULL;
    return m->coeffs != NULL;
}

void net_norm_finish(struct net_norm *m)
{
    gpu_buf_destroy(m->moments);
    gpu_buf_destroy(m->coeffs);
}

static uint32_t groups_of(uint32_t count)
{
    return (count + GROUP - 1) / GROUP;
}

bool net_norm_sum(struct net_norm *m, const struct net_ring *r, uint32_t z, struct err *err)
{
    const struct moments_push push = {m->dim[0], m->dim[1], m->quads, r->channels};
    const struct gpu_range ranges[2] = {{r->buf, net_ring_at(r, z), r->slot_bytes},
                                        {m->moments, z * m->plane_bytes, m->plane_bytes}};
    const uint32_t groups[3] = {groups_of(m->dim[1]), groups_of(r->channels), 1};
    return gpu_dispatch(m->gpu, &moments_kernel, ranges, &push, groups, 2ULL * m->quads,
                        8ULL * m->quads * m->dim[1] * r->channels, err);
}

// Joins means and squared deviations of parts as Chan, Golub and LeVeque have it (Stanford
// STAN-CS-79-773, 1979): no difference of large sums is taken.
bool net_norm_end(struct net_norm *m, const struct net_ring *r, struct err *err)
{
    const size_t rows = (size_t)r->channels * m->dim[1];
    float(*part)[2] = malloc(m->plane_bytes);
    double(*sum)[2] = calloc(r->channels, sizeof *sum);
    float(*coeffs)[2] = calloc(r->channels, sizeof *coeffs);
    bool ok = (part && sum && coeffs) || err_set(err, ERR_NOMEM, "no memory");
    for (uint32_t z = 0; ok && z < m->dim[2]; z++) {
        ok = gpu_buf_read(m->moments, z * m->plane_bytes, part, rows * sizeof *part, err);
        for (size_t i = 0; ok && i < rows; i++) {
            const double before = (double)z * m->dim[1] + (double)(i % m->dim[1]); // rows
            double *s = sum[i / m->dim[1]];
            const double more = part[i][0] - s[0];
            s[0] += more / (before + 1);
            s[1] += part[i][1] + more * more * m->dim[0] * before / (before + 1);
        }
    }
    const double voxels = (double)m->dim[0] * m->dim[1] * m->dim[2];
    for (uint32_t c = 0; ok && c < r->channels; c++) {
        const double factor = 1 / sqrt(sum[c][1] / voxels + NET_NORM_EPSILON);
        coeffs[c][0] = (float)factor;
        coeffs[c][1] = (float)(-sum[c][0] * factor);
    }
    ok = ok && gpu_buf_write(m->coeffs, 0, coeffs, r->channels * sizeof *coeffs, err);
    free(coeffs);
    free(sum);
    free(part);
    return ok;
}

bool net_norm_apply(struct net_norm *m, struct net_ring *r, const struct net_layer *l, uint32_t end,
                    struct err *err)
{
    const struct kernel k = {.shader = &shader_net_norm,
                             .group = {GROUP, GROUP, 1},
                             .constants = {l->act},
                             .push_bytes = sizeof(struct norm_push),
                             .bindings = 2,
                             .access = {KERNEL_INOUT, KERNEL_TEXELS}};
    const struct norm_push push = {m->dim[0], m->dim[1], m->quads, r->channels, l->slope};
    const uint32_t groups[3] = {groups_of(m->quads), groups_of(m->dim[1]), r->channels};
    for (; r->normed < end; r->normed++) {
        const struct gpu_range ranges[2] = {{r->buf, net_ring_at(r, r->normed), r->slot_bytes},
                                            {m->coeffs, 0, gpu_buf_size(m->coeffs)}};
        if (!gpu_dispatch(m->gpu, &k, ranges, &push, groups, 1,
                          4ULL * m->quads * m->dim[1] * r->channels, err))
            return false;
    }
    return true;
}
