// Runs of set bits along a row: .x the row (slice * rows + row), .y first | last << 16 column.
uint run_first(uvec2 run)
{
    return run.y & 0xffffu;
}
uint run_last(uvec2 run)
{
    return run.y >> 16;
}
