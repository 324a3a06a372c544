#include <cstring>
#include "dimse/read/object_parts.h"

// Not yet in DCMTK's list.
#define UID_HTJ2KLosslessTransferSyntax            "1.2.840.10008.1.2.4.201"
#define UID_HTJ2KLosslessRPCLTransferSyntax        "1.2.840.10008.1.2.4.202"
#define UID_HTJ2KTransferSyntax                    "1.2.840.10008.1.2.4.203"
#define UID_EncapsulatedUncompressedTransferSyntax "1.2.840.10008.1.2.1.98"

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
    {UID_HTJ2KLosslessTransferSyntax, EXS_Unknown, EXS_LittleEndianExplicit, CODEC_J2K, false},
    {UID_HTJ2KLosslessRPCLTransferSyntax, EXS_Unknown, EXS_LittleEndianExplicit, CODEC_J2K, false},
    {UID_EncapsulatedUncompressedTransferSyntax, EXS_Unknown, EXS_LittleEndianExplicit,
     CODEC_NATIVE_FRAGMENTS, false},
    {UID_RLELosslessTransferSyntax, EXS_RLELossless, EXS_LittleEndianExplicit, CODEC_RLE, false},
    {UID_BigEndianExplicitTransferSyntax, EXS_BigEndianExplicit, EXS_BigEndianExplicit,
     CODEC_NATIVE, false},
    {UID_JPEGLSLossyTransferSyntax, EXS_JPEGLSLossy, EXS_LittleEndianExplicit, CODEC_JPEG_LS,
     false},
    {UID_JPEG2000TransferSyntax, EXS_JPEG2000, EXS_LittleEndianExplicit, CODEC_J2K, false},
    {UID_HTJ2KTransferSyntax, EXS_Unknown, EXS_LittleEndianExplicit, CODEC_J2K, false},
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
