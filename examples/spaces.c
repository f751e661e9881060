/* SPDX-License-Identifier: MIT */
/* spaces.c - two address spaces on a machine with bytes, and compaction under them. */
#include <stdio.h>

#include <godwit/godwit.h>

#define FRAMES 16384 /* 64 MiB in frames of 4 KiB */
#define PAGES  12288 /* of the first address space */

/* A program: write to every page, then give three of four back, so that no huge page is left. */
static int
fill(struct gw_mm *mm, gw_vaddr_t at)
{
	int err = 0;

	for (uint64_t i = 0; i < PAGES && !err; i++)
		err = gw_cpu_store(mm, at + i * GW_PAGE_SIZE, i);
	for (uint64_t i = 0; i < PAGES && !err; i += 4)
		err = gw_madvise(mm, at + i * GW_PAGE_SIZE, 3 * GW_PAGE_SIZE, GW_MADV_DONTNEED);
	return err;
}

/* Pages that are left and do not say what was written. */
static unsigned
lost(struct gw_mm *mm, gw_vaddr_t at)
{
	unsigned n = 0;

	for (uint64_t i = 3, found; i < PAGES; i += 4)
		n += gw_cpu_load(mm, at + i * GW_PAGE_SIZE, &found) || found != i;
	return n;
}

int
main(void)
{
	const struct gw_zone_config zone = {.name = "Normal", .end = FRAMES};
	struct gw_machine_config config;
	struct gw_mm *parent, *child;
	struct gw_machine *m;
	struct gw_soft *soft;
	struct gw_task task;
	gw_vaddr_t at;

	gw_machine_config_init(&config);
	config.n_frames = FRAMES;
	config.zones = &zone;
	config.n_zones = 1;
	if (gw_soft_create(&config, &soft, NULL))
		return 1;
	m = gw_soft_machine(soft);
	if (gw_task_attach(&task, m, 0) || gw_mm_create(m, &parent) ||
		gw_mmap(parent, 0, PAGES * GW_PAGE_SIZE, GW_PROT_READ | GW_PROT_WRITE, 0, &at) ||
		fill(parent, at) || gw_mm_fork(parent, &child))
		return 1;
	printf("huge pages free: %d", (int)gw_zone_available(m, 0, 9));
	gw_compact_all_zones(m);
	gw_drain_all_pages(m);
	printf(", compacted: %d; pages lost: %u\n", (int)gw_zone_available(m, 0, 9),
		lost(parent, at) + lost(child, at));
	for (enum gw_vm_event event = 0; event < GW_VM_NR; event++)
		printf("%s %d\n", gw_vm_event_name(event), (int)gw_machine_count(m, event));
	gw_mm_put(child);
	gw_mm_put(parent);
	gw_task_detach(&task);
	gw_soft_destroy(soft);
	return 0;
}
