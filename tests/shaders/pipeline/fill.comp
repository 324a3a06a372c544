// Sets count words to the push constant, or to its opposite.
//   0 out  result
#version 450
#extension GL_GOOGLE_include_directive : require
#include "group.glsl"

layout(constant_id = 3) const bool OPPOSITE = false;
layout(std430, binding = 0) writeonly restrict buffer Result { uint result[]; };
layout(push_constant, std430) uniform Push { uint count, word; } push;

void main()
{
    uint i = flat_index();
    if (i < push.count)
        result[i] = OPPOSITE ? ~push.word : push.word;
}
