/* SPDX-License-Identifier: MIT */
/* swap_internal.h - what a machine's end and its check ask of swap.c. Idle machine. */
#ifndef GW_ENGINE_STORE_SWAP_INTERNAL_H
#define GW_ENGINE_STORE_SWAP_INTERNAL_H

#include "engine/store/store.h"

/* Release the swap area, if there is one, whoever names its slots. */
void gw_swap_destroy(struct gw_machine *m);
/* W1 to W4. */
void gw_swap_check(struct gw_machine *m, struct gw_findings *findings);

#endif
