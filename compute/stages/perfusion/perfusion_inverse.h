// The inverse of an artery: what turns the curve of a tissue into its residue function. Host
// memory; pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define PERFUSION_LEVELS_MAX 19

// How the inverse of the artery's circulant matrix is cut: singular values below a share of the
// largest are left out. One level is cSVD; of several, each voxel takes the first whose residue
// function oscillates at most so much (oSVD): OI = sum |f[k] - 2 f[k-1] + f[k-2]| / (rows max f).
struct perfusion_cut {
    uint32_t levels;
    double share[PERFUSION_LEVELS_MAX];
    double oscillation; // highest OI
    // Steps before the artery at which a maximum counts, at most half the rows. Blood that noise
    // puts farther back in time cannot be; behind the artery all steps count.
    uint32_t early;
    double noise[2]; // correlation of the noise of steps that are one and two apart
};

// Rows of the matrix: the artery is padded with zeros to twice its steps or a little more.
uint32_t perfusion_rows(uint32_t steps);
// matrix: [levels][rows / 8][steps][8]: the truncated inverse of the artery, per second.
// gain: [levels] standard deviation of the function, per second, where curves have noise of 1 with
// the correlation of the cut
// False: the artery is nought, or no memory.
bool perfusion_matrix(const double *artery, uint32_t steps, double step_s,
                      const struct perfusion_cut *cut, float *matrix, double *gain);

// The same as a product. The columns of a circulant matrix are sums of cosines and sines, and a
// level keeps few of them: a curve is first made into its terms, sums with the cosine and the sine
// of each frequency that the first level keeps, those of the largest singular values first; each
// level takes the first `used` of them. An artery that is 10 s wide, with a step every 1.1 s, has
// 32 terms of 60 steps at 5 %, and 12 at 50 %. Where there would be as many as steps, the steps
// themselves are the terms.
struct perfusion_inverse {
    uint32_t steps, rows;
    uint32_t terms;                      // a multiple of 8, or steps
    uint32_t used[PERFUSION_LEVELS_MAX]; // at each level
    float *to_terms;                     // [terms / 8][steps][8]; NULL: the terms are the steps
    float *matrix; // [rows / 8][terms][8]; without to_terms that of perfusion_matrix()
    double gain[PERFUSION_LEVELS_MAX]; // as of perfusion_matrix()
};
// out: finished by perfusion_inverse_finish(). False: the artery is nought, or no memory.
bool perfusion_invert(const double *artery, uint32_t steps, double step_s,
                      const struct perfusion_cut *cut, struct perfusion_inverse *out);
void perfusion_inverse_finish(struct perfusion_inverse *i);
