// C++, inside dimse only: our texts in the character set of a source.
// Source: PS3.3 C.12.1.1.2; PS3.5 6.1. Thread-safety: pure.
#pragma once
#include <string>

// UTF-8 text in a character set as Specific Character Set names it, "" for the default repertoire.
// Signs that it cannot hold are spelt in ASCII where that is usual (a superscript 2 as "2", a
// degree sign as "deg"), and become '?' otherwise. With code extensions (several values, ISO 2022)
// the text stays ASCII, which is part of each of them. Bytes that are no UTF-8 become '?'.
std::string charset_encode(const std::string &utf8, const std::string &character_set);
