// Every image of the shared corpus that is there to be decoded: what comes out is what other
// toolkits make of it, or the reference beside it. decode_peer.py compares and prints the table:
// file, transfer syntax, result.
#include <dirent.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include "dimse/read/object_parts.h"
#include "tests/check.h"

#define PEER "tests/golden/decode_peer.py"

static struct err err;

static void list_files(const std::string &folder, std::vector<std::string> *out)
{
    DIR *d = opendir(folder.c_str());
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        std::string path = folder + "/" + e->d_name;
        if (e->d_name[0] == '.')
            continue;
        if (e->d_type == DT_DIR)
            list_files(path, out);
        else if (path.find(".nii") == std::string::npos && path.find(".png") == std::string::npos)
            out->push_back(path);
    }
    closedir(d);
}

// Frames until one fails: samples to N.raw, colours to N.rgb. What went wrong is in err.
static bool write_frames(struct object *o, const std::string &stem, struct pixel_format *format,
                         uint32_t *decoded)
{
    FILE *raw = fopen((stem + ".raw").c_str(), "wb");
    FILE *rgb = fopen((stem + ".rgb").c_str(), "wb");
    std::vector<int32_t> values;
    std::vector<uint8_t> colours;
    bool ok = raw && rgb;
    for (uint32_t f = 0; ok && f < object_ids(o)->frames; f++) {
        ok = object_samples(o, f, format, &values, &err) &&
             fwrite(values.data(), sizeof values[0], values.size(), raw) == values.size();
        *decoded += ok;
        if (!ok || format->colour == PIXEL_GREY)
            continue;
        colours.resize(static_cast<size_t>(format->columns) * format->rows * 3);
        ok = object_decode_rgb(o, f, colours.data(), &err) &&
             fwrite(colours.data(), 1, colours.size(), rgb) == colours.size();
    }
    if (raw)
        fclose(raw);
    if (rgb)
        fclose(rgb);
    return ok;
}

static void corpus_decodes_as_others_decode_it(void)
{
    const char *folder = check_data("dicom/decode");
    if (!folder)
        return;
    std::vector<std::string> files;
    std::string data = folder, scratch = check_scratch();
    list_files(data, &files);
    std::sort(files.begin(), files.end());
    CU_ASSERT_FATAL(files.size() > 100);
    FILE *list = fopen((scratch + "/list.tsv").c_str(), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(list);
    for (size_t i = 0; i < files.size(); i++) {
        struct pixel_format format = {};
        uint32_t decoded = 0;
        err = {};
        struct object *o = object_open(files[i].c_str(), &err);
        bool ok = o && write_frames(o, scratch + "/" + std::to_string(i), &format, &decoded);
        CU_ASSERT_TRUE(ok || err.text[0]);
        fprintf(list, "%zu\t%s\t%u\t%u\t%u\t%u\t%u\t%d\t%s\n", i,
                files[i].c_str() + data.size() + 1, o ? object_ids(o)->frames : 0, decoded,
                format.rows, format.columns, format.samples, static_cast<int>(format.colour),
                ok ? "" : err.text);
        object_close(o);
    }
    fclose(list);
    CU_ASSERT_EQUAL(check_peer(PEER, "'%s' '%s'", data.c_str(), scratch.c_str()), 0);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"decode_corpus_decodes_as_others_decode_it", corpus_decodes_as_others_decode_it},
    };
    if (!check_data("dicom/decode"))
        check_skip("no shared test data");
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("decode", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
