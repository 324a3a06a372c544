// Compressed twins of a made file: by DCMTK's tools, JPEG 2000 by OpenJPEG.
#pragma once
#include <openjpeg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/made.h"

// Runs a DCMTK tool: tool option in out. False: it is not installed; a failure ends the test.
static inline bool compress_by_tool(const char *tool, const char *const *options, const char *in,
                                    const char *out)
{
    const char *argv[16] = {tool};
    int n = 1, status = 0;
    for (; options[n - 1]; n++)
        argv[n] = options[n - 1];
    argv[n++] = in;
    argv[n] = out;
    pid_t child = fork();
    if (child == 0) {
        execvp(tool, (char **)argv);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        abort();
    if (WEXITSTATUS(status) == 127)
        return false;
    if (WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s failed: %d\n", tool, WEXITSTATUS(status));
        abort();
    }
    return true;
}

struct compress_sink {
    uint8_t *data;
    size_t size, at, room;
};

static inline OPJ_SIZE_T compress_put(void *data, OPJ_SIZE_T count, void *user)
{
    struct compress_sink *s = (struct compress_sink *)user;
    if (count > s->room - s->at)
        return (OPJ_SIZE_T)-1;
    memcpy(s->data + s->at, data, count);
    s->at += count;
    s->size = s->at > s->size ? s->at : s->size;
    return count;
}

static inline OPJ_OFF_T compress_skip(OPJ_OFF_T count, void *user)
{
    struct compress_sink *s = (struct compress_sink *)user;
    if (count < 0 || (size_t)count > s->room - s->at)
        return -1;
    s->at += (size_t)count;
    return count;
}

static inline OPJ_BOOL compress_seek(OPJ_OFF_T at, void *user)
{
    struct compress_sink *s = (struct compress_sink *)user;
    if (at < 0 || (size_t)at > s->room)
        return OPJ_FALSE;
    s->at = (size_t)at;
    return OPJ_TRUE;
}

// A JPEG 2000 code stream of grey values; rate 0: lossless. free() it.
static inline uint8_t *compress_j2k(const int32_t *values, uint32_t columns, uint32_t rows,
                                    uint32_t bits, bool is_signed, float rate, size_t *size)
{
    struct compress_sink sink = {.room = (size_t)columns * rows * 8 + 65536};
    opj_cparameters_t p;
    opj_image_cmptparm_t c = {
        .dx = 1, .dy = 1, .w = columns, .h = rows, .prec = bits, .bpp = bits, .sgnd = is_signed};
    opj_image_t *image = opj_image_create(1, &c, OPJ_CLRSPC_GRAY);
    opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_create(65536, OPJ_FALSE);
    sink.data = (uint8_t *)calloc(sink.room, 1);
    if (!image || !codec || !stream || !sink.data)
        abort();
    image->x1 = columns;
    image->y1 = rows;
    memcpy(image->comps[0].data, values, (size_t)columns * rows * sizeof *values);
    opj_set_default_encoder_parameters(&p);
    p.tcp_numlayers = 1;
    p.tcp_rates[0] = rate;
    p.cp_disto_alloc = 1;
    p.irreversible = rate > 0;
    p.numresolution = 3;
    opj_stream_set_write_function(stream, compress_put);
    opj_stream_set_skip_function(stream, compress_skip);
    opj_stream_set_seek_function(stream, compress_seek);
    opj_stream_set_user_data(stream, &sink, NULL);
    if (!opj_setup_encoder(codec, &p, image) || !opj_start_compress(codec, image, stream) ||
        !opj_encode(codec, stream) || !opj_end_compress(codec, stream))
        abort();
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    opj_image_destroy(image);
    *size = sink.size + sink.size % 2;
    return sink.data;
}
