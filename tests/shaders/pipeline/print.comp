// Prints the push constant for the last of count invocations.
//   0 out  result
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_debug_printf : require
#include "group.glsl"

layout(std430, binding = 0) writeonly restrict buffer Result { uint result[]; };
layout(push_constant, std430) uniform Push { uint count, word; } push;

void main()
{
    uint i = flat_index();
    if (i >= push.count)
        return;
    if (i + 1u == push.count)
        debugPrintfEXT("invocation %u has word %u", i, push.word);
    result[i] = push.word;
}
