// Linked into every program of a sanitizer build. Software Vulkan drivers keep some hundred bytes
// for as long as they live, and the loader unloads them before leaks are looked for, so that nobody
// could tell whose bytes these are. Libraries stay loaded here, and what the drivers allocate
// themselves is no finding; what we allocate still is.
#include <dlfcn.h>

const char *__lsan_default_suppressions(void);

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}

const char *__lsan_default_suppressions(void)
{
    return "leak:libvulkan_lvp.so\n" // Mesa's software device
           "leak:libVkLayer_khronos_validation.so\n"
           // Fontconfig keeps what it knows of typefaces for the life of the program, by offsets
           // that do not look like addresses.
           "leak:libfontconfig.so\n"
           // DCMTK 3.6.7 loses an empty list for some malformed A-ASSOCIATE-RQ; its process ends
           // then.
           "leak:LST_Create\n";
}
