// Combines two masks, four words an invocation.
//   0 inout   a  bit mask
//   1 texels  b  bit mask of the same layout
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(constant_id = 3) const uint OP = 0; // enum mask_op: and, or, and not, xor; 4: copies b
layout(std430, binding = 0) restrict buffer A { uvec4 a[]; };
layout(binding = 1) uniform usamplerBuffer b;
layout(push_constant, std430) uniform Push { uint count; } push;

void main()
{
    uint i = flat_index();
    if (i >= push.count)
        return;
    uvec4 other = texelFetch(b, int(i));
    if (OP == 0)
        a[i] &= other;
    else if (OP == 1)
        a[i] |= other;
    else if (OP == 2)
        a[i] &= ~other;
    else if (OP == 3)
        a[i] ^= other;
    else
        a[i] = other;
}
