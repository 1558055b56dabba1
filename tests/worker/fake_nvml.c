/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A library with NVML's names and two devices: one with an energy counter, which says 1500 mJ more
 * at every reading, and one that tells its power alone, 25 W. Built as a module of its own.
 */
typedef void *device;

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *n);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, device *out);
int nvmlDeviceGetPowerUsage(device d, unsigned *mw);
int nvmlDeviceGetTotalEnergyConsumption(device d, unsigned long long *mj);

static int devices[2];
static unsigned long long energy_mj = 1000000;

int nvmlInit_v2(void)
{
    return 0;
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned *n)
{
    *n = 3; /* the third cannot be opened */
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned i, device *out)
{
    *out = &devices[i < 2 ? i : 0];
    return i < 2 ? 0 : 15;
}

int nvmlDeviceGetPowerUsage(device d, unsigned *mw)
{
    *mw = 25000;
    return d == &devices[1] ? 0 : 3;
}

int nvmlDeviceGetTotalEnergyConsumption(device d, unsigned long long *mj)
{
    *mj = energy_mj += 1500;
    return d == &devices[0] ? 0 : 3;
}
