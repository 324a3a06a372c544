// Encapsulated PDF of the documents.
// Sources: PS3.3 A.45.1, C.24.1, C.24.2.
#include <cstring>
#include "dimse/write/encoders.h"

static const char usual_document[] = "report";

static void pdf_put_document(DcmDataset &ds, const result_set &set, const struct document &d)
{
    static const struct code report = {"126000", "DCM", "Imaging Measurement Report"};
    encode_text(ds, DCM_ConversionType, "WSD");
    encode_text(ds, DCM_ContentDate, set.date);
    encode_text(ds, DCM_ContentTime, set.time);
    encode_text(ds, DCM_AcquisitionDateTime, ""); // pages have none
    encode_text(ds, DCM_BurnedInAnnotation, "YES");
    encode_text(ds, DCM_RecognizableVisualFeatures, "NO");
    encode_text(ds, DCM_DocumentTitle, set.text(d.title ? d.title : set.request.stage.title));
    encode_code(ds, DCM_ConceptNameCodeSequence, report);
    encode_text(ds, DCM_MIMETypeOfEncapsulatedDocument, d.mime);
    identity_copy_request(ds, set);
}

// PS3.3 C.24.2.2: what the pages were made of.
static void put_sources(DcmDataset &ds, const result_set &set)
{
    for (const struct result_source *source : set.sources)
        identity_reference(encode_item(ds, DCM_SourceInstanceSequence), *source);
}

static void put_bytes(DcmDataset &ds, const struct document &d)
{
    if (!d.bytes || !d.size || d.size > UINT32_MAX - 2)
        throw encode_error(ERR_INTERNAL, std::string(d.name) + ": no document, or too large a one");
    std::vector<Uint8> even(d.bytes, d.bytes + d.size);
    if (even.size() % 2)
        even.push_back(0); // PS3.5 7.1.1; the length below tells it apart
    encode_check(ds.putAndInsertUint8Array(DCM_EncapsulatedDocument, even.data(), even.size()),
                 DCM_EncapsulatedDocument);
    encode_check(ds.putAndInsertUint32(DCM_EncapsulatedDocumentLength, (Uint32)d.size),
                 DCM_EncapsulatedDocumentLength);
}

void pdf_encode(const result_set &set, object_sink &sink)
{
    for (uint32_t i = 0; i < set.findings.document_count; i++) {
        const struct document &d = set.findings.documents[i];
        if (strcmp(d.mime, "application/pdf") != 0)
            throw encode_error(ERR_INTERNAL, std::string(d.name) + " is no PDF");
        const struct object_name object = {RESULT_PDF,
                                           strcmp(d.name, usual_document) == 0 ? "" : d.name, 1};
        std::unique_ptr<DcmFileFormat> file =
            identity_object(set, object, UID_EncapsulatedPDFStorage, "DOC");
        pdf_put_document(*file->getDataset(), set, d);
        put_sources(*file->getDataset(), set);
        put_bytes(*file->getDataset(), d);
        sink.put(object, *file);
    }
}
