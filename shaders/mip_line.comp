// Maximum across rows or slices, eight columns an invocation.
//   0 texels  value   packed int16 pairs
//   1 inout   result  packed int16 pairs
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(binding = 0) uniform usamplerBuffer value;
layout(std430, binding = 1) restrict buffer Result { uvec4 result[]; };
layout(push_constant, std430) uniform Push
{
    uint texels, lines;    // of a row of the result, and its rows in this dispatch
    uint line, step;       // texels of value: from result row to result row, along the maximum
    uint begin, end;       // steps
    uint result_row, result_first; // texels; row of the result this dispatch starts with
    uint go_on;            // 1: result holds the maximum of other steps
} push;

void main()
{
    uvec2 at = gl_GlobalInvocationID.xy;
    if (at.x >= push.texels || at.y >= push.lines)
        return;
    ivec4 low = ivec4(-32768), high = ivec4(-32768);
    uint target = (push.result_first + at.y) * push.result_row + at.x;
    if (push.go_on != 0u) {
        ivec4 w = ivec4(result[target]);
        low = bitfieldExtract(w, 0, 16);
        high = w >> 16;
    }
    uint texel = at.y * push.line + at.x + push.begin * push.step;
    for (uint n = push.begin; n < push.end; n++, texel += push.step) {
        ivec4 w = ivec4(texelFetch(value, int(texel)));
        low = max(low, bitfieldExtract(w, 0, 16));
        high = max(high, w >> 16);
    }
    result[target] = (uvec4(low) & 0xffffu) | uvec4(high) << 16;
}
