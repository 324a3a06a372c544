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

// The truncated inverse of the artery, per second. What it makes of a curve is a sum of cosines and
// sines, of which a level keeps few. So a curve is first made into its terms, real and imaginary
// part of each frequency that the first level keeps, those of the largest singular values first;
// each level takes the first `used` of them. An artery that is 10 s wide, with a step every 1.1 s,
// has 16 frequencies at 5 %, and 6 at 50 %.
struct perfusion_inverse {
    uint32_t steps, rows;
    uint32_t terms;                      // two of each frequency; a multiple of 8
    uint32_t used[PERFUSION_LEVELS_MAX]; // frequencies, at each level
    float *to_terms;                     // [terms / 8][steps][8]
    float *matrix; // [rows / 8][terms / 2][8]: of rows 1 + 4 n to 4 + 4 n of the function, four
                   // cosines and four sines of each frequency; rows beyond the middle mirror them
    double gain[PERFUSION_LEVELS_MAX]; // standard deviation of the function, per second, where
                                       // curves have noise of 1 with the correlation of the cut
};
// out: finished by perfusion_inverse_finish(). False: the artery is nought, or no memory.
bool perfusion_invert(const double *artery, uint32_t steps, double step_s,
                      const struct perfusion_cut *cut, struct perfusion_inverse *out);
void perfusion_inverse_finish(struct perfusion_inverse *i);
