// A kernel over a grid of voxels: the GLSL half of compute/kernels/grid.h. A shader's push constants
// start with `Grid grid`, its own follow:
//   layout(push_constant, std430) uniform Push { Grid grid; float scale; } push;
// Volumes and masks are addressed by element: an int16 or a float, or a mask word of 32 voxels.
#include "group.glsl"

struct Grid {
    uint columns, rows, slices; // of the whole grid
    uint first, count;          // slices of this dispatch
    uint in_first, in_count;    // slices that inputs show
    uint row, slice;            // of volumes: elements from row to row, from slice to slice
    uint mask_row, mask_slice;  // of masks: words
    uint unused;
};

// The first voxel of this invocation, which covers `per` of them along each axis (those beyond the
// grid's end are its own to leave out). False: none, return at once.
bool grid_voxel(Grid grid, uvec3 per, out uvec3 voxel)
{
    voxel = gl_GlobalInvocationID * per;
    bool inside = voxel.x < grid.columns && voxel.y < grid.rows && voxel.z < grid.count;
    voxel.z += grid.first;
    return inside;
}

// The voxel nearest to a position that may lie outside: borders replicated.
uvec3 grid_clamp(Grid grid, ivec3 at)
{
    return uvec3(clamp(at, ivec3(0), ivec3(grid.columns, grid.rows, grid.slices) - 1));
}

// Where a voxel lies in what is only read (bindings with halo), and in what is written.
uint grid_in(Grid grid, uvec3 voxel)
{
    return (voxel.z - grid.in_first) * grid.slice + voxel.y * grid.row + voxel.x;
}
uint grid_out(Grid grid, uvec3 voxel)
{
    return (voxel.z - grid.first) * grid.slice + voxel.y * grid.row + voxel.x;
}

// Same for the mask word that holds a voxel; its bit is voxel.x & 31.
uint grid_mask_in(Grid grid, uvec3 voxel)
{
    return (voxel.z - grid.in_first) * grid.mask_slice + voxel.y * grid.mask_row + voxel.x / 32u;
}
uint grid_mask_out(Grid grid, uvec3 voxel)
{
    return (voxel.z - grid.first) * grid.mask_slice + voxel.y * grid.mask_row + voxel.x / 32u;
}

uint grid_pick(uvec4 texel, uint n)
{
    return n == 0u ? texel.x : n == 1u ? texel.y : n == 2u ? texel.z : texel.w;
}

// One element of a texel buffer: an int16, a float, a mask word.
int texel_i16(usamplerBuffer values, uint element)
{
    uint word = grid_pick(texelFetch(values, int(element / 8u)), element / 2u & 3u);
    return (element & 1u) == 0u ? low16(word) : high16(word);
}
float texel_f32(usamplerBuffer values, uint element)
{
    return uintBitsToFloat(grid_pick(texelFetch(values, int(element / 4u)), element & 3u));
}
uint texel_word(usamplerBuffer words, uint element)
{
    return grid_pick(texelFetch(words, int(element / 4u)), element & 3u);
}
