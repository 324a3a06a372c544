// Exclusive prefix sums of blocks of 256 words, a block an invocation.
//   0 inout  data  count words: each becomes the sum of those before it in its block
//   1 out    sum   of each block
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(std430, binding = 0) restrict buffer Data { uint data[]; };
layout(std430, binding = 1) writeonly restrict buffer Sum { uint sum[]; };
layout(push_constant, std430) uniform Push { uint count; } push;

void main()
{
    uint block = flat_index(), from = block * 256u;
    if (from >= push.count)
        return;
    uint to = min(from + 256u, push.count), total = 0u;
    for (uint i = from; i < to; i++) {
        uint value = data[i];
        data[i] = total;
        total += value;
    }
    sum[block] = total;
}
