/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings, mesh_outbox.*; their meaning and limits are in guc.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_GUC_H
#define MO_GUC_H

/* Limits of one Kafka transaction; a larger PostgreSQL one is split. */
extern int	mo_guc_max_transaction_events;	/* default 50000 */
extern int	mo_guc_max_transaction_size;	/* kB, default 16 MB */

extern int	mo_guc_decoding_work_mem;	/* kB, default 16 MB */
extern int	mo_guc_retained_wal_warning;	/* MB; 0 = never; default 1 GB */
extern int	mo_guc_heartbeat_interval;	/* s, default 3600 */
extern int	mo_guc_topic_timeout;	/* s, default 30 */
extern int	mo_guc_ledger_retention;	/* minutes, default 7 days; 0 = for
										 * ever */
extern int	mo_guc_restart_delay;	/* ms, first back-off after an error,
									 * default 1000 */

/* Is dropping an outbox behind mesh_outbox's back refused?  Default on. */
extern bool mo_guc_protect_outboxes;

#ifdef MO_FAULT_POINTS
/*
 * Tests only: at the step "name" (test/model/STEPS.md) do "action": crash
 * (SIGKILL this process) or wait; optionally at its n-th passing (fault.c).
 */
extern char *mo_guc_fault;
extern void mo_fault_point(const char *name);
#define MO_FAULT_POINT(name) mo_fault_point(name)

/* Tests only: a decoder opened while it is off gives core every record. */
extern bool mo_guc_skip_foreign;
#else
#define MO_FAULT_POINT(name) ((void) 0)
#define mo_guc_skip_foreign true
#endif

extern void mo_guc_init(void);	/* from _PG_init */

#endif							/* MO_GUC_H */
