// Configurations that several tests begin with.
#pragma once

// Two peers.
#define PEERS                                                                                      \
    "peers: [{ae_title: PACS, host: pacs, port: 104}, {ae_title: WS, host: '::1', port: 11113}]\n"

// Of each kind of value something that is hard to print and read back.
#define EVERYTHING                                                                                 \
    "node: {timezone: '-0330', ae_title: \"A \\\"1\\\"\", serial: '#1: x', bind: '::1', "          \
    "log_level: "                                                                                  \
    "debug,\n"                                                                                     \
    "  duplicate_answer: success}\n"                                                               \
    "completion: {quiet_s: 0.30000000000000004, longest_wait_s: 1e3}\n"                            \
    "worker: {device: \"lvm\\u2028pipe \\uFEFF \xc3\xa4\"}\n" PEERS "routes:\n"                    \
    "- name: 'yes: no'\n"                                                                          \
    "  when:\n"                                                                                    \
    "    Modality: [CT, '*x?', /a\\d\\/\"b/i]\n"                                                   \
    "    SliceThickness: '<= 3'\n"                                                                 \
    "    ImageType: 'ORIGINAL\\PRIMARY\\*'\n"                                                      \
    "  run: calcium\n"                                                                             \
    "  results: [sc, sr]\n"                                                                        \
    "  return_to: [WS, source, PACS]\n"                                                            \
    "  options: {threshold_hu: 1.3e2}\n"                                                           \
    "- {name: two, priority: -7, when: {Modality: CT}, run: [calcium, lungs], results: [sr, "      \
    "seg],\n"                                                                                      \
    "   options: {threshold_hu: 131, lungs: {lobes: 'a: b'}}}\n"
