// Voxels in fours (quads) from packed int16 or float texels. Needs: FLOAT, the sampler `value`.
vec4 quad(uint index)
{
    if (FLOAT)
        return uintBitsToFloat(texelFetch(value, int(index)));
    uvec4 words = texelFetch(value, int(index / 2u));
    uvec2 half_ = (index & 1u) == 0u ? words.xy : words.zw;
    return vec4(low16(half_.x), high16(half_.x), low16(half_.y), high16(half_.y));
}

float pick(vec4 v, uint n)
{
    return n == 0u ? v.x : n == 1u ? v.y : n == 2u ? v.z : v.w;
}

// Voxel x of the row whose first quad is given.
float voxel(uint row, uint x)
{
    return pick(quad(row + x / 4u), x & 3u);
}
