#include "dimse/read/layout.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dctag.h"

#define UNDEFINED UINT32_MAX
#define WINDOW    65536

#define BEGIN_ELEMENTS 4 // that tell how a data set is written

bool layout_memory::read(uint64_t offset, void *out, size_t count, struct err *err)
{
    if (offset > size_ || count > size_ - offset)
        return err_set(err, ERR_INPUT, "truncated");
    if (count > 0)
        memcpy(out, data_ + offset, count);
    return true;
}

layout_file::~layout_file()
{
    if (fd_ >= 0)
        close(fd_);
}

bool layout_file::open(const char *path, struct err *err)
{
    // not blocking: the path may name a FIFO, which is refused below
    int fd = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? err_errno(err, errno, "%s", path) : take(fd, err);
}

bool layout_file::take(int fd, struct err *err)
{
    struct stat st;
    fd_ = fd;
    if (fstat(fd_, &st) < 0)
        return err_errno(err, errno, "status of a file");
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, "no regular file");
    size_ = static_cast<uint64_t>(st.st_size);
    return true;
}

bool layout_file::read_directly(uint64_t offset, void *out, size_t count, struct err *err)
{
    char *to = static_cast<char *>(out);
    while (count > 0) {
        ssize_t n = pread(fd_, to, count, static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read");
        if (n == 0)
            return err_set(err, ERR_IO, "the file was cut while it was read");
        to += n;
        offset += static_cast<uint64_t>(n);
        count -= static_cast<size_t>(n);
    }
    return true;
}

bool layout_file::read(uint64_t offset, void *out, size_t count, struct err *err)
{
    if (offset > size_ || count > size_ - offset)
        return err_set(err, ERR_INPUT, "truncated");
    if (count == 0)
        return true;
    if (count > WINDOW / 2)
        return read_directly(offset, out, count, err);
    if (offset < window_at_ || offset + count > window_at_ + window_.size()) {
        window_.resize(static_cast<size_t>(std::min<uint64_t>(WINDOW, size_ - offset)));
        window_at_ = offset;
        if (!read_directly(offset, window_.data(), window_.size(), err)) {
            window_.clear();
            return false;
        }
    }
    memcpy(out, window_.data() + (offset - window_at_), count);
    return true;
}

namespace
{

// Tags of the elements met so far in one item: a range of a list that all levels share, in which
// each lies behind that of the level around it.
struct tag_range {
    size_t first, count;
};

enum level_kind { LEVEL_ITEM, LEVEL_SEQUENCE, LEVEL_FRAGMENTS };

struct level {
    level_kind kind;
    bool undefined;   // ends with a delimiter
    bool is_explicit; // encoding of what it holds
    bool tentative;   // may be no sequence at all: a private element, or one of unknown VR
    bool unsure;      // tentative, and DCMTK would read it as one
    uint64_t end;     // undefined: of what encloses it
    uint64_t after;   // tentative: where to go on when it is none
    struct tag_range tags;
};

struct element {
    uint16_t group, number;
    char vr[2]; // {0, 0} when implicit
    uint32_t length;
    uint64_t value; // offset
};

enum step { STEP_ON, STEP_END, STEP_FAIL };

bool is_vr(const char vr[2], const char *const table[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (vr[0] == table[i][0] && vr[1] == table[i][1])
            return true;
    }
    return false;
}

bool long_form(const char vr[2])
{
    static const char *const table[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                        "SV", "UC", "UN", "UR", "UT", "UV"};
    return is_vr(vr, table, sizeof table / sizeof *table);
}

bool short_form(const char vr[2])
{
    static const char *const table[] = {"AE", "AS", "AT", "CS", "DA", "DS", "DT",
                                        "FD", "FL", "IS", "LO", "LT", "PN", "SH",
                                        "SL", "SS", "ST", "TM", "UI", "UL", "US"};
    return is_vr(vr, table, sizeof table / sizeof *table);
}

bool known_form(const char vr[2])
{
    return short_form(vr) || long_form(vr);
}

// The value representation that the dictionary has for a tag; NULL: it does not know the tag.
const char *dictionary_vr(uint16_t group, uint16_t number)
{
    DcmTag tag(group, number);
    return tag.isUnknownVR() ? nullptr : DcmVR(tag.getEVR()).getValidVRName();
}

bool known_tag(uint16_t group, uint16_t number)
{
    return number == 0 || dictionary_vr(group, number);
}

class walk
{
  public:
    walk(layout_source &source, bool big_endian, struct layout *out, struct err *err)
        : source_(source), big_(big_endian), out_(out), err_(err)
    {
    }

    bool read_meta_element(uint64_t at, struct element *e);
    bool begins(bool is_explicit);
    bool run(bool is_explicit, bool partial);
    // What made run() fail was the end of the source.
    bool ran_out() const
    {
        return !too_much_ && err_->code == ERR_INPUT && strncmp(err_->text, "truncated", 9) == 0;
    }

  private:
    bool read_element(uint64_t at, uint64_t end, bool is_explicit, struct element *e);
    bool read_raw(uint64_t at, uint64_t end, bool is_explicit, struct element *e, bool *odd);
    bool mend(uint64_t at, uint64_t end, struct element *e);
    bool ends_well(const struct element &e, uint64_t end);
    bool note_mend(uint64_t at, uint32_t bytes, const char vr[2], const struct element &e);
    bool drop_top(uint64_t from);
    uint16_t u16(const uint8_t *p) const
    {
        return static_cast<uint16_t>(big_ ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
    }
    uint32_t u32(const uint8_t *p) const
    {
        uint32_t first = u16(p), second = u16(p + 2);
        return big_ ? first << 16 | second : second << 16 | first;
    }
    bool fail(const char *what)
    {
        return err_set(err_, ERR_INPUT, "%s at byte %llu", what,
                       static_cast<unsigned long long>(at_));
    }
    void put16(uint8_t *p, unsigned value) const
    {
        p[big_ ? 0 : 1] = static_cast<uint8_t>(value >> 8);
        p[big_ ? 1 : 0] = static_cast<uint8_t>(value);
    }
    void put32(uint8_t *p, uint32_t value) const
    {
        put16(p + (big_ ? 0 : 2), value >> 16);
        put16(p + (big_ ? 2 : 0), value & 0xffff);
    }
    bool enter(level_kind kind, const struct element &e, bool is_explicit, bool tentative);
    bool enter_unsure(const struct element &e);
    bool read_item();
    bool read_top(bool is_explicit, step *next);
    bool read_inner();
    bool descend(const struct element &e, bool is_explicit);
    bool keep_order(const struct element &e);
    bool take_pixels(const struct element &e);
    bool drain();
    bool give_up_tentative();

    layout_source &source_;
    bool big_;
    struct layout *out_;
    struct err *err_;
    uint64_t at_ = 0, end_ = 0;
    std::vector<level> stack_;
    size_t depth_ = 0, elements_ = 0;
    std::vector<uint32_t> tags_; // in order within each range
    struct tag_range top_ = {};  // of the data set itself
    uint64_t sorting_ = 0;       // steps that putting elements in order takes
    bool too_much_ = false;
    bool drop_ = false; // the top-level element of now cannot be handed on
};

// The header as it stands; odd: of no known value representation, and without a length.
bool walk::read_raw(uint64_t at, uint64_t end, bool is_explicit, struct element *e, bool *odd)
{
    uint8_t raw[12] = {};
    at_ = at;
    if (end - at < 8)
        return fail("truncated");
    if (!source_.read(at, raw, 8, err_))
        return false;
    e->group = u16(raw);
    e->number = u16(raw + 2);
    e->vr[0] = e->vr[1] = 0;
    e->value = at + 8;
    if (e->group == 0xfffe || !is_explicit) {
        e->length = u32(raw + 4);
        return true;
    }
    e->vr[0] = static_cast<char>(raw[4]);
    e->vr[1] = static_cast<char>(raw[5]);
    if (short_form(e->vr)) {
        e->length = u16(raw + 6);
        return true;
    }
    *odd = !long_form(e->vr);
    if (*odd)
        return true;
    if (end - at < 12)
        return fail("truncated");
    if (!source_.read(at + 8, raw + 8, 4, err_))
        return false;
    e->length = u32(raw + 8);
    e->value = at + 12;
    return true;
}

bool walk::read_element(uint64_t at, uint64_t end, bool is_explicit, struct element *e)
{
    bool odd = false;
    return read_raw(at, end, is_explicit, e, &odd) && (!odd || mend(at, end, e));
}

// Of group 2: explicit, but some write it implicit.
bool walk::read_meta_element(uint64_t at, struct element *e)
{
    bool odd = false;
    return read_raw(at, source_.size(), true, e, &odd) &&
           (!odd || read_raw(at, source_.size(), false, e, &odd));
}

// Is what follows the value of e what may follow it: the end, or an element of a higher tag?
bool walk::ends_well(const struct element &e, uint64_t end)
{
    uint8_t raw[8] = {};
    uint64_t next = e.value;
    if (e.length != UNDEFINED)
        next += e.length;
    if (next == end)
        return e.length != UNDEFINED;
    if (next > end || end - next < 8 || !source_.read(next, raw, 8, nullptr))
        return false;
    uint16_t group = u16(raw), number = u16(raw + 2);
    if (e.length == UNDEFINED)
        return group == 0xfffe && (number == 0xe000 || number == 0xe0dd);
    if (group == 0xfffe)
        return !stack_.empty() && number == 0xe00d;
    char vr[2] = {static_cast<char>(raw[4]), static_cast<char>(raw[5])};
    if (group < e.group || (group == e.group && number <= e.number))
        return false;
    // a private element is nobody's to know: one of the same group is what may follow it
    return known_form(vr) || known_tag(group, number) || (group == e.group && group % 2 == 1);
}

// The header of bytes at at becomes one of this value representation. Where that changes its size,
// no enclosing sequence or item may have a length.
bool walk::note_mend(uint64_t at, uint32_t bytes, const char vr[2], const struct element &e)
{
    struct layout_mend m = {};
    m.offset = at;
    m.bytes = bytes;
    m.size = long_form(vr) ? 12 : 8;
    put16(m.header, e.group);
    put16(m.header + 2, e.number);
    memcpy(m.header + 4, vr, 2);
    if (m.size == 12)
        put32(m.header + 8, e.length);
    else
        put16(m.header + 6, e.length);
    bool fixed = std::any_of(stack_.begin(), stack_.end(),
                             [](const struct level &l) { return !l.undefined; });
    drop_ = drop_ || (m.size != bytes && fixed);
    if (out_->mends.size() == LAYOUT_MENDS_MAX) {
        too_much_ = true;
        return fail("too many elements of unknown value representation");
    }
    out_->mends.push_back(m);
    return true;
}

// An element of unknown value representation: the place of the next one tells whether its length
// has two bytes, four behind two reserved ones, or four and no value representation before them.
bool walk::mend(uint64_t at, uint64_t end, struct element *e)
{
    uint8_t raw[12] = {};
    size_t count = end - at < sizeof raw ? 8 : sizeof raw;
    if (!source_.read(at, raw, count, err_))
        return false;
    const char *vr = dictionary_vr(e->group, e->number);
    if (count == sizeof raw && u16(raw + 6) == 0) {
        e->value = at + 12;
        e->length = u32(raw + 8);
        if (ends_well(*e, end)) {
            memcpy(e->vr, vr && long_form(vr) ? vr : "UN", 2);
            return note_mend(at, 12, e->vr, *e);
        }
    }
    e->value = at + 8;
    e->length = u16(raw + 6);
    if (ends_well(*e, end)) {
        memcpy(e->vr, vr && short_form(vr) ? vr : "LO", 2);
        return note_mend(at, 8, e->vr, *e);
    }
    e->length = u32(raw + 4);
    if (ends_well(*e, end)) {
        memcpy(e->vr, vr && short_form(vr) && e->length <= UINT16_MAX ? vr : "UN", 2);
        return note_mend(at, 8, e->vr, *e);
    }
    char what[64];
    snprintf(what, sizeof what, "(%04x,%04x): unknown value representation", e->group, e->number);
    at_ = at;
    return fail(what);
}

// The top-level element that ends at at_ is left out, with all that was mended in it.
bool walk::drop_top(uint64_t from)
{
    struct layout_mend m = {};
    while (!out_->mends.empty() && out_->mends.back().offset >= from)
        out_->mends.pop_back();
    m.offset = from;
    m.bytes = at_ - from;
    out_->mends.push_back(m);
    drop_ = false;
    return true;
}

bool walk::enter(level_kind kind, const struct element &e, bool is_explicit, bool tentative)
{
    uint64_t enclosing = stack_.empty() ? end_ : stack_.back().end;
    struct level l = {};
    l.kind = kind;
    l.undefined = e.length == UNDEFINED;
    l.is_explicit = is_explicit;
    l.tentative = tentative;
    l.end = l.undefined ? enclosing : e.value + e.length;
    l.after = l.end;
    const struct tag_range &outer = stack_.empty() ? top_ : stack_.back().tags;
    l.tags.first = outer.first + outer.count;
    if (l.end > enclosing)
        return fail("truncated");
    if (kind == LEVEL_SEQUENCE && ++depth_ > LAYOUT_DEPTH_MAX) {
        too_much_ = true;
        return fail("sequences nested too deep");
    }
    stack_.push_back(l);
    at_ = e.value;
    return true;
}

// What is of unknown VR and may be a sequence, in implicit encoding (PS3.5 6.2.2 note 2).
bool walk::enter_unsure(const struct element &e)
{
    if (!enter(LEVEL_SEQUENCE, e, false, true))
        return false;
    stack_.back().unsure = true;
    return true;
}

// Pixel data in fragments: the first one met at top level is recorded.
bool walk::take_pixels(const struct element &e)
{
    bool top = stack_.empty();
    if (!enter(LEVEL_FRAGMENTS, e, true, false))
        return false;
    for (;;) {
        struct element item = {};
        if (top && at_ == end_) { // real files lack the delimiter: every fragment is whole
            stack_.pop_back();
            return true;
        }
        if (!read_element(at_, stack_.back().end, true, &item))
            return false;
        if (item.group == 0xfffe && item.number == 0xe0dd)
            break;
        if (item.group != 0xfffe || item.number != 0xe000 || item.length == UNDEFINED)
            return fail("no fragment");
        if (item.length > stack_.back().end - item.value)
            return fail("truncated");
        if (++elements_ > LAYOUT_ELEMENTS_MAX)
            return fail("too many fragments");
        if (top)
            out_->fragments.push_back({item.value, item.length});
        at_ = item.value + item.length;
    }
    at_ += 8;
    stack_.pop_back();
    return true;
}

// DCMTK looks for the place of each element from the last one on: what comes in order costs a step,
// what does not as many as there are of higher tags.
bool walk::keep_order(const struct element &e)
{
    struct tag_range &own = stack_.empty() ? top_ : stack_.back().tags;
    const uint32_t tag = static_cast<uint32_t>(e.group) << 16 | e.number;
    tags_.resize(own.first + own.count); // what lay within the elements before is over
    const auto first = tags_.begin() + static_cast<std::ptrdiff_t>(own.first);
    const auto place = std::upper_bound(first, tags_.end(), tag);
    sorting_ += static_cast<uint64_t>(tags_.end() - place);
    if (sorting_ > LAYOUT_SORTING_MAX) {
        too_much_ = true;
        char what[96];
        snprintf(what, sizeof what,
                 "(%04x,%04x): too many of %zu elements are out of order, tags must ascend",
                 e.group, e.number, own.count + 1);
        return fail(what);
    }
    tags_.insert(place, tag);
    own.count++;
    return true;
}

// What is nested in an element, or the way past its value.
bool walk::descend(const struct element &e, bool is_explicit)
{
    bool undefined = e.length == UNDEFINED;
    uint64_t enclosing = stack_.empty() ? end_ : stack_.back().end;
    if (!keep_order(e))
        return false;
    if (!undefined && e.length > enclosing - e.value) {
        char what[96];
        snprintf(what, sizeof what, "truncated: (%04x,%04x) says %u bytes, %llu are there", e.group,
                 e.number, e.length, static_cast<unsigned long long>(enclosing - e.value));
        return fail(what);
    }
    if (e.group == 0x7fe0 && e.number == 0x0010 && undefined)
        return take_pixels(e);
    if (is_explicit && e.vr[0] == 'S' && e.vr[1] == 'Q')
        return enter(LEVEL_SEQUENCE, e, true, false);
    if (is_explicit && undefined && e.vr[0] == 'U' && e.vr[1] == 'N')
        return enter(LEVEL_SEQUENCE, e, false, false); // PS3.5 6.2.2 note 4
    if (!is_explicit && undefined)
        return enter(LEVEL_SEQUENCE, e, false, false);
    if (undefined)
        return fail("undefined length");
    bool unknown = is_explicit && e.vr[0] == 'U' && e.vr[1] == 'N';
    if ((!is_explicit || unknown) && e.length >= 8) {
        if (DcmTag(e.group, e.number).getEVR() == EVR_SQ)
            return unknown ? enter_unsure(e) : enter(LEVEL_SEQUENCE, e, false, false);
        uint8_t start[4] = {};
        if (e.group % 2 == 1) {
            if (!source_.read(e.value, start, 4, err_))
                return false;
            if (u16(start) == 0xfffe && u16(start + 2) == 0xe000)
                return unknown ? enter_unsure(e) : enter(LEVEL_SEQUENCE, e, false, true);
        }
    }
    at_ = e.value + e.length;
    return true;
}

// In a sequence: an item or its end.
bool walk::read_item()
{
    struct level &l = stack_.back();
    struct element e = {};
    if (!read_element(at_, l.end, l.is_explicit, &e))
        return false;
    if (e.group != 0xfffe)
        return fail("no item in a sequence");
    if (e.number == 0xe0dd && l.undefined) {
        at_ = e.value;
        depth_--;
        stack_.pop_back();
        return true;
    }
    if (e.number != 0xe000)
        return fail("no item in a sequence");
    return enter(LEVEL_ITEM, e, l.is_explicit, false);
}

bool walk::read_inner()
{
    struct level &l = stack_.back();
    if (!l.undefined && at_ == l.end) {
        depth_ -= l.kind == LEVEL_SEQUENCE;
        stack_.pop_back();
        return true;
    }
    if (++elements_ > LAYOUT_ELEMENTS_MAX) {
        too_much_ = true;
        return fail("too many elements");
    }
    if (l.kind == LEVEL_SEQUENCE)
        return read_item();
    struct element e = {};
    bool is_explicit = l.is_explicit;
    if (!read_element(at_, l.end, is_explicit, &e))
        return false;
    if (e.group == 0xfffe) {
        if (e.number != 0xe00d || !l.undefined)
            return fail("stray delimiter");
        at_ = e.value;
        stack_.pop_back();
        return true;
    }
    return descend(e, is_explicit);
}

// What looked like a sequence is none: goes on behind it.
bool walk::give_up_tentative()
{
    size_t i = 0;
    while (i < stack_.size() && !stack_[i].tentative)
        i++;
    if (i == stack_.size() || too_much_)
        return false;
    at_ = stack_[i].after;
    drop_ = drop_ || stack_[i].unsure;
    while (stack_.size() > i) {
        depth_ -= stack_.back().kind == LEVEL_SEQUENCE;
        stack_.pop_back();
    }
    return true;
}

// Everything that is nested in the top-level element whose value starts at at_.
bool walk::drain()
{
    while (!stack_.empty()) {
        if (!read_inner() && (err_->code == ERR_IO || !give_up_tentative()))
            return false;
    }
    return true;
}

bool walk::read_top(bool is_explicit, step *next)
{
    struct element e = {};
    const uint64_t from = at_;
    if (++elements_ > LAYOUT_ELEMENTS_MAX) {
        too_much_ = true;
        return fail("too many elements");
    }
    if (!read_element(at_, end_, is_explicit, &e))
        return false;
    if (e.group == 0xfffe) {
        if (e.number == 0xe000 || e.length != 0)
            return fail("stray delimiter");
        at_ = e.value; // some end what has a length with a delimiter, too
        return drop_top(from);
    }
    if (e.group != 0x7fe0 || (e.number != 0x0008 && e.number != 0x0009 && e.number != 0x0010))
        return descend(e, is_explicit) && drain() && (!drop_ || drop_top(from));
    if (e.number != 0x0010 && e.length == UNDEFINED) // PS3.5 A.4: never in fragments
        return fail("undefined length");
    *next = STEP_END;
    out_->has_pixels = true;
    out_->pixel_number = e.number;
    out_->pixel_words = e.vr[0] == 'O' && e.vr[1] == 'W';
    out_->encapsulated = e.length == UNDEFINED;
    out_->pixel_offset = e.value;
    out_->pixel_length = out_->encapsulated ? 0 : e.length;
    return descend(e, is_explicit);
}

bool walk::run(bool is_explicit, bool partial)
{
    at_ = out_->header_end = out_->data_offset;
    end_ = source_.size();
    out_->mends.clear();
    step next = STEP_ON;
    while (at_ < end_ && next == STEP_ON) {
        if (partial && end_ - at_ >= 4) {
            uint8_t tag[4] = {};
            if (!source_.read(at_, tag, 4, err_))
                return false;
            if (u16(tag) >= 0x5200 && u16(tag) != 0xfffe)
                return true;
        }
        if (!read_top(is_explicit, &next))
            return partial && !too_much_ && err_->code == ERR_INPUT;
        if (next == STEP_ON)
            out_->header_end = at_;
    }
    return true;
}

// Do the first elements say so? The first one is one that the dictionary knows; tags ascend.
bool walk::begins(bool is_explicit)
{
    struct element e = {}, before = {};
    uint64_t at = out_->data_offset, end = source_.size();
    for (int i = 0; i < BEGIN_ELEMENTS && (at < end || i == 0); i++, before = e) {
        bool odd = false;
        if (!read_raw(at, end, is_explicit, &e, &odd) || odd)
            return i > 1; // what is odd further on is the walk's to judge
        char vr[2] = {};
        if (!is_explicit && !source_.read(at + 4, vr, 2, nullptr))
            return false;
        if (i == 0 && (e.group % 2 == 1 || e.group < 4 || !known_tag(e.group, e.number) ||
                       (!is_explicit && known_form(vr))))
            return false;
        if (i > 0 &&
            (e.group < before.group || (e.group == before.group && e.number <= before.number)))
            return false;
        if (e.length == UNDEFINED)
            return e.value < end;
        if (e.length > end - e.value)
            return false;
        at = e.value + e.length;
    }
    return true;
}

// Where the meta header starts, or the data set where there is none.
bool meta_start(layout_source &source, uint64_t *at, struct err *err)
{
    uint8_t magic[8] = {};
    *at = 0;
    if (source.size() < sizeof magic)
        return err_set(err, ERR_INPUT, "no DICOM file");
    if (source.size() >= 132) {
        if (!source.read(128, magic, 4, err))
            return false;
        if (memcmp(magic, "DICM", 4) == 0) {
            *at = 132;
            return true;
        }
    }
    if (!source.read(0, magic, sizeof magic, err))
        return false;
    if (memcmp(magic, "DICM", 4) == 0)
        *at = 4;
    return true;
}

} // namespace

bool layout_read_meta(layout_source &source, struct layout *out, std::string *transfer_syntax,
                      struct err *err)
{
    walk w(source, false, out, err);
    uint64_t at = 0;
    transfer_syntax->clear();
    if (!meta_start(source, &at, err))
        return false;
    while (at < source.size()) {
        struct element e = {};
        uint8_t group[2] = {};
        if (source.size() - at < 2)
            return err_set(err, ERR_INPUT, "truncated meta header");
        if (!source.read(at, group, 2, err))
            return false;
        if (group[0] != 2 || group[1] != 0) // the data set may be in any encoding
            break;
        if (!w.read_meta_element(at, &e))
            return err_wrap(err, "meta header");
        if (e.length > source.size() - e.value)
            return err_set(err, ERR_INPUT, "truncated meta header");
        if (e.number == 0x0010) {
            if (e.length > 64)
                return err_set(err, ERR_INPUT, "Transfer Syntax UID is too long");
            transfer_syntax->resize(e.length);
            if (!source.read(e.value, &(*transfer_syntax)[0], e.length, err))
                return false;
        }
        at = e.value + e.length;
    }
    while (!transfer_syntax->empty() &&
           (transfer_syntax->back() == '\0' || transfer_syntax->back() == ' '))
        transfer_syntax->pop_back();
    out->data_offset = at;
    return true;
}

bool layout_reads_as(layout_source &source, const struct layout *layout, bool is_explicit,
                     bool big_endian)
{
    struct layout scratch = {};
    scratch.data_offset = layout->data_offset;
    struct err ignored = {};
    walk w(source, big_endian, &scratch, &ignored);
    return w.begins(is_explicit);
}

bool layout_read_data(layout_source &source, bool partial, struct layout *out, struct err *err)
{
    struct err local = {};
    walk w(source, out->big_endian, out, &local);
    if (w.run(out->is_explicit, partial))
        return true;
    if (err)
        *err = local;
    return false;
}

bool layout_may_begin_so(layout_source &source, struct layout *out, struct err *err)
{
    struct err local = {};
    walk w(source, out->big_endian, out, &local);
    if (w.run(out->is_explicit, false) || w.ran_out())
        return true;
    if (err)
        *err = local;
    return false;
}
