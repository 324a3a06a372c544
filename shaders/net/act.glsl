// What follows a convolution or a norm in a network.

// The error function, to 1.5e-7: Abramowitz and Stegun, 7.1.26.
vec4 erf_of(vec4 x)
{
    vec4 t = 1.0 / (1.0 + 0.3275911 * abs(x));
    vec4 p = t * (0.254829592 +
                  t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - p * exp(-x * x));
}

// kind: enum net_act of compute/net/net_layer.h. slope: below zero, of kind 2.
vec4 act(vec4 x, int kind, float slope)
{
    if (kind == 1)
        return max(x, vec4(0.0));
    if (kind == 2)
        return mix(x, x * slope, lessThan(x, vec4(0.0)));
    if (kind == 3)
        return mix(x, exp(min(x, vec4(0.0))) - 1.0, lessThan(x, vec4(0.0)));
    if (kind == 4)
        return 0.5 * x * (1.0 + erf_of(x * 0.70710678));
    if (kind == 5)
        return 1.0 / (1.0 + exp(-x));
    return x;
}
