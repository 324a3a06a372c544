// The group size comes from specialisation constants 0 to 2; what shapes a shader starts at 3.
layout(local_size_x_id = 0, local_size_y_id = 1, local_size_z_id = 2) in;

// Position in a long list, laid out by groups_flat() in compute/kernels/kernels.c.
const uint FLAT_ROW = 262144;
uint flat_index()
{
    return gl_GlobalInvocationID.y * FLAT_ROW + gl_GlobalInvocationID.x;
}

// The two int16 of a word, the lower address first.
int low16(uint word)
{
    return bitfieldExtract(int(word), 0, 16);
}
int high16(uint word)
{
    return int(word) >> 16;
}
uint pack16(int low, int high)
{
    return (uint(low) & 0xffffu) | uint(high) << 16;
}

// Bits of mask word `word` of a row whose columns lie in lo <= column < hi.
uint column_bits(uint word, uint lo, uint hi)
{
    uint first = word * 32u;
    uint from = lo > first ? lo - first : 0u;
    uint to = hi > first ? min(hi - first, 32u) : 0u;
    if (from >= to)
        return 0u;
    return (0xffffffffu >> (32u - (to - from))) << from;
}
