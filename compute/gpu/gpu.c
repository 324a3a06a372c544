#include "compute/gpu/gpu.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/gpu/gpu_internal.h"
#include "base/fs.h"
#include "base/log.h"

#define DEVICES_MAX 64u

static const char validation_layer[] = "VK_LAYER_KHRONOS_validation";

const char *gpu_kind_name(enum gpu_kind kind)
{
    static const char *const names[] = {"discrete", "integrated", "virtual", "cpu", "other"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "other";
}

const char *gpu_result_name(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case VK_ERROR_DEVICE_LOST:
        return "device lost";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "initialisation failed";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "no compatible driver";
    case VK_ERROR_LAYER_NOT_PRESENT:
        return "layer not installed";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
        return "extension not present";
    case VK_ERROR_FEATURE_NOT_PRESENT:
        return "feature not present";
    default:
        return "Vulkan error";
    }
}

bool gpu_fail(struct gpu *g, VkResult result, const char *what, struct err *err)
{
    bool memory = result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY;
    if (result == VK_ERROR_DEVICE_LOST)
        g->failed = true;
    return err_set(err, memory ? ERR_NOMEM : ERR_DEVICE, "%s: %s: %s (%d)", g->device.name, what,
                   gpu_result_name(result), (int)result);
}

// ---- Instance ----

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && strcmp(value, "1") == 0;
}

static bool prints(void)
{
    return is_set("ANODE_VULKAN_PRINTF");
}

static bool validates(void)
{
    return is_set("ANODE_VULKAN_VALIDATION") || prints();
}

static VkBool32 VKAPI_PTR on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                     VkDebugUtilsMessageTypeFlagsEXT types,
                                     const VkDebugUtilsMessengerCallbackDataEXT *message,
                                     void *user)
{
    (void)types;
    unsigned *messages = user;
    if (message->pMessageIdName && strstr(message->pMessageIdName, "DEBUG-PRINTF")) {
        // "Validation Information: [ UNASSIGNED-DEBUG-PRINTF ] ... | MessageID = 0x92394c89 | text"
        const char *text = strstr(message->pMessage, "MessageID");
        text = text ? strstr(text, " | ") : NULL;
        log_info("shader: %s", text ? text + 3 : message->pMessage);
        return VK_FALSE;
    }
    if (!(severity & (VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                      VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT)))
        return VK_FALSE;
    ++*messages;
    log_line(severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT ? LOG_LEVEL_ERROR
                                                                      : LOG_LEVEL_WARN,
             "vulkan validation: %s", message->pMessage);
    return VK_FALSE;
}

static VkDebugUtilsMessengerCreateInfoEXT messenger_info(unsigned *messages)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT |
                           (prints() ? VK_DEBUG_UTILS_MESSAGE_SEVERITY_INFO_BIT_EXT : 0u),
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = messages};
}

// messages NULL: without validation, whatever the environment says.
static bool instance_create(VkInstance *instance, unsigned *messages, struct err *err)
{
    bool validate = messages && validates();
    const char *layers[] = {validation_layer};
    const char *extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME,
                                VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    const VkValidationFeatureEnableEXT enable[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT,
        VK_VALIDATION_FEATURE_ENABLE_DEBUG_PRINTF_EXT};
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(messages);
    VkValidationFeaturesEXT features = {.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                        .pNext = &messenger,
                                        .enabledValidationFeatureCount = prints() ? 2 : 1,
                                        .pEnabledValidationFeatures = enable};
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .pApplicationName = "anode",
                             .apiVersion = prints() ? VK_API_VERSION_1_3 : VK_API_VERSION_1_2};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pNext = validate ? &features : NULL,
                                 .pApplicationInfo = &app,
                                 .enabledLayerCount = validate ? 1 : 0,
                                 .ppEnabledLayerNames = layers,
                                 .enabledExtensionCount = validate ? 2 : 0,
                                 .ppEnabledExtensionNames = extensions};
    VkResult result = vkCreateInstance(&info, NULL, instance);
    if (result == VK_SUCCESS)
        return true;
    *instance = VK_NULL_HANDLE;
    return err_set(err, result == VK_ERROR_LAYER_NOT_PRESENT ? ERR_UNSUPPORTED : ERR_DEVICE,
                   "Vulkan instance: %s (%d)", gpu_result_name(result), (int)result);
}

// The messenger of vkCreateInstance() only watches creation and destruction of the instance.
static bool messenger_create(struct gpu *g, struct err *err)
{
    if (!validates())
        return true;
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(g->instance,
                                                                  "vkCreateDebugUtilsMessengerEXT");
    VkDebugUtilsMessengerCreateInfoEXT info = messenger_info(&g->messages);
    if (!create || create(g->instance, &info, NULL, &g->messenger) != VK_SUCCESS)
        return err_set(err, ERR_UNSUPPORTED, "Vulkan validation cannot report");
    return true;
}

// ---- Devices ----

static enum gpu_kind kind_of(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return GPU_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return GPU_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return GPU_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return GPU_CPU;
    default:
        return GPU_OTHER;
    }
}

static bool compute_family(VkPhysicalDevice physical, uint32_t *family)
{
    VkQueueFamilyProperties families[16];
    uint32_t count = 16;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) {
            *family = i;
            return true;
        }
    }
    return false;
}

// Device memory that the host can write: worth using in place where it is the same memory.
static bool shares_memory(const VkPhysicalDeviceMemoryProperties *memory, enum gpu_kind kind)
{
    const VkMemoryPropertyFlags both =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        if ((memory->memoryTypes[i].propertyFlags & both) == both)
            return kind == GPU_INTEGRATED || kind == GPU_CPU;
    }
    return false;
}

static void uuid_text(const uint8_t bytes[VK_UUID_SIZE], char out[37])
{
    char *at = out;
    for (int i = 0; i < (int)VK_UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        at += snprintf(at, 3, "%02x", bytes[i]);
    }
}

static void describe_core(VkPhysicalDevice physical, const VkPhysicalDeviceProperties *core,
                          struct gpu_device *d)
{
    snprintf(d->name, sizeof d->name, "%s", core->deviceName);
    d->kind = kind_of(core->deviceType);
    snprintf(d->api_version, sizeof d->api_version, "%u.%u.%u",
             VK_API_VERSION_MAJOR(core->apiVersion), VK_API_VERSION_MINOR(core->apiVersion),
             VK_API_VERSION_PATCH(core->apiVersion));
    d->driver_version = core->driverVersion;
    d->max_range_bytes = core->limits.maxStorageBufferRange;
    d->max_group_size = core->limits.maxComputeWorkGroupInvocations;
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++) {
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT &&
            memory.memoryHeaps[i].size > d->memory_bytes)
            d->memory_bytes = memory.memoryHeaps[i].size;
    }
    d->in_place = shares_memory(&memory, d->kind);
}

static void describe(VkPhysicalDevice physical, struct gpu_device *d)
{
    VkPhysicalDeviceProperties core;
    uint32_t family;
    memset(d, 0, sizeof *d);
    vkGetPhysicalDeviceProperties(physical, &core);
    describe_core(physical, &core, d);
    if (core.apiVersion < VK_API_VERSION_1_2) {
        snprintf(d->why, sizeof d->why, "not usable: Vulkan %s, 1.2 is needed", d->api_version);
        return;
    }
    VkPhysicalDeviceVulkan11Properties v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
    VkPhysicalDeviceVulkan12Properties v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, .pNext = &v11};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &v12};
    vkGetPhysicalDeviceProperties2(physical, &all);
    snprintf(d->driver, sizeof d->driver, "%.100s %.150s", v12.driverName, v12.driverInfo);
    uuid_text(v11.deviceUUID, d->uuid);
    d->max_alloc_bytes = v11.maxMemoryAllocationSize;
    d->subgroup_size = v11.subgroupSize;
    if (!compute_family(physical, &family)) {
        snprintf(d->why, sizeof d->why, "not usable: no compute queue");
        return;
    }
    d->usable = true;
}

static bool contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

// The index of the device to use, -1: none.
static int choose(struct gpu_device *d, uint32_t count, const char *want)
{
    bool named = want && *want;
    int best = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (!d[i].usable)
            continue;
        bool wanted = !named || strcasecmp(want, d[i].uuid) == 0 || contains(d[i].name, want);
        if (wanted && (best < 0 || d[i].kind < d[best].kind))
            best = (int)i;
        snprintf(d[i].why, sizeof d[i].why,
                 wanted ? "another one comes first" : "not the one asked for");
    }
    if (best >= 0) {
        d[best].chosen = true;
        snprintf(d[best].why, sizeof d[best].why,
                 named        ? "chosen: asked for as \"%s\""
                 : count == 1 ? "chosen: the only one"
                              : "chosen: best kind",
                 named ? want : "");
    }
    return best;
}

// All devices of an instance, in the order the loader gives them. False: *err set.
static bool enumerate(VkInstance instance, VkPhysicalDevice physical[DEVICES_MAX],
                      struct gpu_device **list, uint32_t *count, struct err *err)
{
    *count = DEVICES_MAX;
    VkResult result = vkEnumeratePhysicalDevices(instance, count, physical);
    if (result == VK_ERROR_INITIALIZATION_FAILED) { // how some loaders say that there is none
        *count = 0;
    } else if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
        err_set(err, ERR_DEVICE, "listing Vulkan devices: %s (%d)", gpu_result_name(result),
                (int)result);
        return false;
    }
    *list = calloc(*count + 1ul, sizeof **list);
    if (!*list) {
        err_set(err, ERR_NOMEM, "device list");
        return false;
    }
    for (uint32_t i = 0; i < *count; i++)
        describe(physical[i], &(*list)[i]);
    return true;
}

bool gpu_list(const char *want, struct gpu_device **list, size_t *count, struct err *err)
{
    VkInstance instance;
    VkPhysicalDevice physical[DEVICES_MAX];
    uint32_t found = 0;
    *list = NULL;
    *count = 0;
    if (!instance_create(&instance, NULL, err))
        return false;
    bool ok = enumerate(instance, physical, list, &found, err);
    if (ok)
        choose(*list, found, want);
    *count = found;
    vkDestroyInstance(instance, NULL);
    return ok;
}

static bool device_find(struct gpu *g, const char *want, struct err *err)
{
    VkPhysicalDevice physical[DEVICES_MAX];
    struct gpu_device *list = NULL;
    uint32_t count = 0;
    if (!enumerate(g->instance, physical, &list, &count, err))
        return false;
    int best = choose(list, count, want);
    if (best >= 0) {
        g->physical = physical[best];
        g->device = list[best];
    } else if (want && *want) {
        char names[160] = "";
        for (uint32_t i = 0, used = 0; i < count && used < sizeof names; i++)
            used += (uint32_t)snprintf(names + used, sizeof names - used, "%s\"%s\"", i ? ", " : "",
                                       list[i].name);
        err_set(err, ERR_CONFIG, "no usable Vulkan device \"%s\"; there are: %s", want,
                count ? names : "none");
    } else {
        err_set(err, ERR_DEVICE, "no usable Vulkan device (of %u); %s", count,
                count ? list[0].why : "is a Vulkan driver installed?");
    }
    free(list);
    return best >= 0;
}

static bool has_extension(VkPhysicalDevice physical, const char *name)
{
    uint32_t count = 0;
    if (vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL) != VK_SUCCESS)
        return false;
    VkExtensionProperties *all = calloc(count + 1ul, sizeof *all);
    bool found = false;
    if (all && vkEnumerateDeviceExtensionProperties(physical, NULL, &count, all) == VK_SUCCESS) {
        for (uint32_t i = 0; i < count && !found; i++)
            found = strcmp(all[i].extensionName, name) == 0;
    }
    free(all);
    return found;
}

// What a device can bind, under the caller's own limits.
static void limits_init(struct gpu *g, const struct gpu_options *options)
{
    VkPhysicalDeviceProperties core;
    vkGetPhysicalDeviceProperties(g->physical, &core);
    g->limits = core.limits;
    if (options->max_range && options->max_range < g->device.max_range_bytes)
        g->device.max_range_bytes = options->max_range;
    g->device.max_range_bytes -= g->device.max_range_bytes % GPU_ALIGN;
    g->max_texel_bytes = core.limits.maxTexelBufferElements * 16ull;
    if (options->max_range && options->max_range < g->max_texel_bytes)
        g->max_texel_bytes = options->max_range;
    g->max_texel_bytes -= g->max_texel_bytes % GPU_ALIGN;
    g->max_word_bytes = core.limits.maxTexelBufferElements * 4ull;
    if (g->max_word_bytes > g->max_texel_bytes)
        g->max_word_bytes = g->max_texel_bytes;
    g->max_word_bytes -= g->max_word_bytes % GPU_ALIGN;
    if (options->force_staging || is_set("ANODE_VULKAN_STAGING"))
        g->device.in_place = false;
}

static bool device_open(struct gpu *g, const struct gpu_options *options, struct err *err)
{
    const char *names[2];
    uint32_t count = 0;
    bool has_push =
        !options->no_push && has_extension(g->physical, VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME);
    if (has_push)
        names[count++] = VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME;
    if (prints() && has_extension(g->physical, VK_KHR_SHADER_NON_SEMANTIC_INFO_EXTENSION_NAME))
        names[count++] = VK_KHR_SHADER_NON_SEMANTIC_INFO_EXTENSION_NAME;
    float priority = 1;
    compute_family(g->physical, &g->family);
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = g->family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkPhysicalDeviceFeatures features = {.robustBufferAccess = VK_TRUE};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = count,
                               .ppEnabledExtensionNames = names,
                               .pEnabledFeatures = &features};
    VkResult result = vkCreateDevice(g->physical, &info, NULL, &g->vk);
    if (result != VK_SUCCESS) {
        g->vk = VK_NULL_HANDLE;
        return gpu_fail(g, result, "opening the device", err);
    }
    vkGetDeviceQueue(g->vk, g->family, 0, &g->queue);
    if (has_push)
        g->push_descriptors =
            (PFN_vkCmdPushDescriptorSetKHR)vkGetDeviceProcAddr(g->vk, "vkCmdPushDescriptorSetKHR");
    return true;
}

// The software device compiles at the first dispatch and keeps its code where this says; it reads
// it when the instance is made.
static bool cache_folder(const char *folder, struct err *err)
{
    if (!folder || !*folder)
        return true;
    if (!fs_make_folders(folder, err))
        return err_wrap(err, "pipeline cache");
    setenv("MESA_SHADER_CACHE_DIR", folder, 0);
    return true;
}

struct gpu *gpu_create(const struct gpu_options *options, struct err *err)
{
    static const struct gpu_options defaults;
    struct gpu *g = calloc(1, sizeof *g);
    if (!options)
        options = &defaults;
    if (!g) {
        err_set(err, ERR_NOMEM, "gpu");
        return NULL;
    }
    bool ok = cache_folder(options->cache_dir, err) &&
              instance_create(&g->instance, &g->messages, err) && messenger_create(g, err) &&
              device_find(g, options->device, err);
    if (ok) {
        limits_init(g, options);
        ok = device_open(g, options, err) && gpu_memory_init(g, options, err) &&
             gpu_cmd_init(g, err) && pipeline_init(g, options->cache_dir, err);
    }
    if (!ok) {
        gpu_destroy(g);
        return NULL;
    }
    log_info("device=\"%s\" kind=%s driver=\"%s\" vulkan=%s uuid=%s memory=%s push=%s why=\"%s\"",
             g->device.name, gpu_kind_name(g->device.kind), g->device.driver, g->device.api_version,
             g->device.uuid, g->device.in_place ? "in-place" : "staged",
             g->push_descriptors ? "yes" : "no", g->device.why);
    if (g->device.kind == GPU_CPU)
        log_warn("device=\"%s\" is a software device: correct, but slow", g->device.name);
    return g;
}

static void buffers_finish(struct gpu *g)
{
    gpu_buf_destroy(g->staging);
    while (g->doomed)
        gpu_buf_release(g->doomed);
    while (g->bufs) {
        if (g->bufs != g->staging)
            log_warn("buffer=\"%s\" bytes=%llu was never destroyed", g->bufs->name,
                     (unsigned long long)g->bufs->size);
        gpu_buf_release(g->bufs);
    }
}

static void device_close(struct gpu *g)
{
    pipeline_finish(g);
    buffers_finish(g);
    gpu_cmd_finish(g);
    gpu_memory_finish(g);
    vkDestroyDevice(g->vk, NULL);
}

void gpu_destroy(struct gpu *g)
{
    if (!g)
        return;
    // Destroying what a hung device still uses would hang or crash: better to leak it.
    if (g->vk && !gpu_cmd_idle(g, 10)) {
        log_error("device=\"%s\" hangs, what it uses is left to the system", g->device.name);
        return;
    }
    if (g->vk)
        device_close(g);
    if (g->messenger) {
        PFN_vkDestroyDebugUtilsMessengerEXT destroy =
            (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
                g->instance, "vkDestroyDebugUtilsMessengerEXT");
        destroy(g->instance, g->messenger, NULL);
    }
    if (g->instance)
        vkDestroyInstance(g->instance, NULL);
    free(g);
}

const struct gpu_device *gpu_device(const struct gpu *g)
{
    return &g->device;
}

bool gpu_failed(const struct gpu *g)
{
    return g->failed;
}

unsigned gpu_validation_messages(const struct gpu *g)
{
    return g->messages;
}
