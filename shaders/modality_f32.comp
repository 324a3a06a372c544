// Rounds float modality values to int16: nearest, halves away from zero, clamped, NaN lowest. Eight
// voxels an invocation.
//   0 texels  value     float
//   1 out     modality  packed int16 pairs
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) writeonly restrict buffer Modality { uvec4 modality[]; };
layout(push_constant, std430) uniform Push { uint count; } push;

int convert(uint bits)
{
    if ((bits & 0x7fffffffu) > 0x7f800000u) // NaN by its bits: drivers may optimise isnan() away
        return -32768;
    precise float v = clamp(uintBitsToFloat(bits), -32768.0, 32767.0);
    precise float whole = trunc(v);
    int result = int(whole);
    if (abs(v - whole) >= 0.5)
        result += v < 0.0 ? -1 : 1;
    return result;
}

void main()
{
    uint i = flat_index();
    if (i >= push.count)
        return;
    uvec4 a = texelFetch(value, int(2u * i));
    uvec4 b = texelFetch(value, int(2u * i + 1u));
    modality[i] = uvec4(pack16(convert(a.x), convert(a.y)), pack16(convert(a.z), convert(a.w)),
                        pack16(convert(b.x), convert(b.y)), pack16(convert(b.z), convert(b.w)));
}
