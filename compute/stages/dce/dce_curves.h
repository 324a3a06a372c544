// Curves of dynamic MR on the device: T1 from flip angles, signal to concentration, Tofts' model.
// Curves are planes as of compute/stages/perfusion/perfusion_curves.h. All record; nothing waits.
#pragma once
#include "compute/kernels/kernels.h"

extern const struct kernel_group kernels_dce;

#define DCE_ANGLES_MAX 16

// 1 - exp(-TR / T1) from images at several flip angles and one TR, by a straight line (Gupta, J
// Magn Reson 1977;25:231; Fram et al., Magn Reson Imaging 1987;5:201).
// images  planes of `count` images, one a flip angle
// angle   [count] radians, 0 < angle < pi/2
// lost    float, of the grid; 0 where there is none
bool dce_angles(const struct gpu_volume *images, uint32_t count, const double *angle,
                const struct gpu_volume *lost, struct err *err);

struct dce_sequence {
    double tr_s;       // repetition time
    double flip;       // radians
    double relaxivity; // L/(mmol s)
};

// Signal to concentration of contrast agent, in place, by the signal of a spoiled gradient echo; 0
// outside the mask. T2* is left out: contrast agent that lowers the signal by it lowers the result.
// lost      float: 1 - exp(-TR / T1) before the bolus
// baseline  float: mean signal of the first `before` points, >= 1
// broken    float: number of points whose signal no relaxation rate gives; they are 0
bool dce_contrast(const struct gpu_volume *curves, uint32_t points, const struct gpu_mask *mask,
                  const struct gpu_volume *lost, uint32_t before, const struct dce_sequence *seq,
                  const struct gpu_volume *baseline, const struct gpu_volume *broken,
                  struct err *err);

struct dce_fit {               // of the grid; 0 outside the mask
    struct gpu_volume *ktrans; // 1/min
    struct gpu_volume *kep;    // 1/min
    struct gpu_volume *vp;     // 0 without `extended`
    struct gpu_volume *rest;   // root of the mean square that the model leaves, mmol/L
};
void dce_fit_finish(struct dce_fit *f);
// Tofts' model (Tofts et al., J Magn Reson Imaging 1999;10:223) by linear least squares (Murase,
// Magn Reson Med 2004;51:858): C = (Ktrans + kep vp) int(Cp) + vp Cp - kep int(C).
// plasma    [points] mmol/L in plasma of the artery
// at_s      [points] seconds, rising
// extended  with vp; else it is 0
//   ERR_INPUT  the plasma curve is nought, or too like its integral
bool dce_fit_of(const struct gpu_volume *curves, uint32_t points, const struct gpu_mask *mask,
                const double *plasma, const double *at_s, bool extended, struct dce_fit *out,
                struct err *err);
