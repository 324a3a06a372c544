// Curves of DSC-MR on the device: signal to relaxation rate, and leakage of contrast agent. Curves
// are planes as of compute/stages/perfusion/perfusion_curves.h. All record; nothing waits.
#pragma once
#include "compute/kernels/kernels.h"

extern const struct kernel_group kernels_dsc;

// -log(signal) / TE in place, 1/s; 0 outside the mask. Less its own baseline
// (perfusion_enhance()) that is the change of R2*, which is taken to be in proportion to the
// contrast agent. least   signals below are taken as this, > 0 broken  float, of the grid: number
// of such points
bool dsc_rate(const struct gpu_volume *curves, uint32_t points, const struct gpu_mask *mask,
              double te_s, double least, const struct gpu_volume *broken, struct err *err);

// What leaks out of the vessels, after Boxerman, Schmainda and Weisskoff (AJNR 2006;27:859): with
// the mean curve m of tissue that does not leak, each curve is fitted by K1 m - K2 int(m), by least
// squares; what the leak takes from the area of the curve, K2 int(int(m)), is given back.
struct dsc_leak {
    const double *mean; // [steps] m, 1/s
    uint32_t steps;
    double step_s;
    uint32_t before; // steps of the baseline, which count for no area
};
// k2    float, of the grid, 1/s: positive where agent in tissue raises the signal by T1
// area  float: sum of the curve behind the baseline with that given back, in steps
//   ERR_INPUT  m is nought, or too like its integral
bool dsc_leak_of(const struct gpu_volume *curves, const struct gpu_mask *mask,
                 const struct dsc_leak *leak, const struct gpu_volume *k2,
                 const struct gpu_volume *area, struct err *err);
