// Modality LUT on 16-bit stored values, eight voxels an invocation; may work in place.
//   0 texels  stored    packed 16-bit pairs
//   1 in      lut       modality value of each stored value (mode 2)
//   2 out     modality  packed int16 pairs
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

// 0: slope * int16 + intercept in integers, 1: the same of uint16, 2: through the table
layout(constant_id = 3) const uint MODE = 0;
layout(binding = 0) uniform usamplerBuffer stored;
layout(std430, binding = 1) readonly buffer Lut { int lut[]; };
layout(std430, binding = 2) writeonly buffer Modality { uvec4 modality[]; };
layout(push_constant, std430) uniform Push { uint count; int slope; int intercept; } push;

int convert(uint word, bool high)
{
    uint raw = high ? word >> 16 : word & 0xffffu;
    if (MODE == 2)
        return lut[raw];
    int value = MODE == 1 ? int(raw) : high ? high16(word) : low16(word);
    return clamp(value * push.slope + push.intercept, -32768, 32767);
}

void main()
{
    uint i = flat_index();
    if (i >= push.count)
        return;
    uvec4 words = texelFetch(stored, int(i));
    for (int n = 0; n < 4; n++)
        words[n] = pack16(convert(words[n], false), convert(words[n], true));
    modality[i] = words;
}
