// anode devices
#include <stdio.h>
#include <stdlib.h>
#include "compute/gpu/gpu.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/job/json.h"

static void devices_print(const struct gpu_device *d)
{
    printf("%c %s\n    %s, %s, Vulkan %s, %llu MiB, %s\n    %s\n", d->chosen ? '*' : ' ', d->name,
           d->uuid, gpu_kind_name(d->kind), d->api_version,
           (unsigned long long)(d->memory_bytes >> 20), d->driver, d->why);
}

static void devices_add(json_t *list, const struct gpu_device *d, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "name", d->name, ok);
    json_put_text(o, "uuid", d->uuid, ok);
    json_put_text(o, "kind", gpu_kind_name(d->kind), ok);
    json_put_text(o, "vulkan", d->api_version, ok);
    json_put_text(o, "driver", d->driver, ok);
    json_put_integer(o, "memory_bytes", (int64_t)d->memory_bytes, ok);
    json_put_bool(o, "usable", d->usable, ok);
    json_put_bool(o, "chosen", d->chosen, ok);
    json_put_text(o, "why", d->why, ok);
    json_add(list, o, ok);
}

int cmd_devices_show(const char *want, json_t *devices, bool *ok)
{
    struct gpu_device *list = NULL;
    size_t count = 0;
    struct err err = {0};
    bool usable = false, chosen = false;
    gpu_list(want, &list, &count, &err);
    for (size_t i = 0; i < count; i++) {
        usable = usable || list[i].usable;
        chosen = chosen || list[i].chosen;
        if (devices)
            devices_add(devices, &list[i], ok);
        else
            devices_print(&list[i]);
    }
    free(list);
    if (chosen)
        return 0;
    fflush(stdout); // what was found comes before what is wrong with it
    if (usable)
        fprintf(stderr, "anode: worker.device: no usable Vulkan device \"%s\"\n", want);
    else
        fprintf(stderr, "anode: no usable Vulkan device%s%s; " CMD_DEVICE_REMEDY "\n",
                err.text[0] ? ": " : "", err.text);
    return 1;
}

int cmd_devices(const struct cmd_args *args)
{
    bool ok = true;
    json_t *list = json_array();
    int status = cmd_devices_show(NULL, args->json ? list : NULL, &ok);
    if (!args->json) {
        json_decref(list);
        return cmd_flush(status);
    }
    json_t *answer = cmd_answer("anode.devices/1", &ok);
    json_put(answer, "devices", list, &ok);
    return cmd_print_json(answer, ok, status);
}
