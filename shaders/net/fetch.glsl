// What all kernels of graphs share: which invocations a dispatch does, and single numbers of packed
// tensors. `count` invocations of a block are cut into dispatches of first to end.
#define PUSH_HEAD uint first, end, out_shift, block;

uint invocation(uint first)
{
    return first + gl_GlobalInvocationID.x;
}

#define NUMBER(buffer, at) uintBitsToFloat(texelFetch(buffer, int((at) >> 2))[(at) & 3u])
