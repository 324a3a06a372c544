#include <cstring>
#include "dimse/read/object_parts.h"

static const struct syntax table[] = {
    {UID_LittleEndianExplicitTransferSyntax, EXS_LittleEndianExplicit, EXS_LittleEndianExplicit,
     CODEC_NATIVE, false},
    {UID_LittleEndianImplicitTransferSyntax, EXS_LittleEndianImplicit, EXS_LittleEndianImplicit,
     CODEC_NATIVE, false},
    {UID_DeflatedExplicitVRLittleEndianTransferSyntax, EXS_DeflatedLittleEndianExplicit,
     EXS_LittleEndianExplicit, CODEC_NATIVE, true},
    {UID_JPEGLSLosslessTransferSyntax, EXS_JPEGLSLossless, EXS_LittleEndianExplicit, CODEC_JPEG_LS,
     false},
    {UID_JPEG2000LosslessOnlyTransferSyntax, EXS_JPEG2000LosslessOnly, EXS_LittleEndianExplicit,
     CODEC_J2K, false},
    {UID_JPEGProcess14SV1TransferSyntax, EXS_JPEGProcess14SV1, EXS_LittleEndianExplicit, CODEC_JPEG,
     false},
    {UID_JPEGProcess14TransferSyntax, EXS_JPEGProcess14, EXS_LittleEndianExplicit, CODEC_JPEG,
     false},
    {UID_RLELosslessTransferSyntax, EXS_RLELossless, EXS_LittleEndianExplicit, CODEC_RLE, false},
    {UID_BigEndianExplicitTransferSyntax, EXS_BigEndianExplicit, EXS_BigEndianExplicit,
     CODEC_NATIVE, false},
    {UID_JPEGLSLossyTransferSyntax, EXS_JPEGLSLossy, EXS_LittleEndianExplicit, CODEC_JPEG_LS,
     false},
    {UID_JPEG2000TransferSyntax, EXS_JPEG2000, EXS_LittleEndianExplicit, CODEC_J2K, false},
    {UID_JPEGProcess2_4TransferSyntax, EXS_JPEGProcess2_4, EXS_LittleEndianExplicit, CODEC_JPEG,
     false},
    {UID_JPEGProcess1TransferSyntax, EXS_JPEGProcess1, EXS_LittleEndianExplicit, CODEC_JPEG, false},
};

#define COUNT (sizeof table / sizeof *table)

const struct syntax *syntax_find(const char *uid)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(table[i].uid, uid) == 0)
            return &table[i];
    }
    return nullptr;
}

const char *const *object_transfer_syntaxes(void)
{
    static const struct uids {
        const char *at[COUNT + 1];
        uids()
        {
            for (size_t i = 0; i < COUNT; i++)
                at[i] = table[i].uid;
            at[COUNT] = nullptr;
        }
    } all;
    return all.at;
}
