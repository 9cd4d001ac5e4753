/*-------------------------------------------------------------------------
 *
 * anomaly.h
 *	  What a contract does about some of its rules, when they are broken.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_ANOMALY_H
#define MO_ANOMALY_H

#include "outbox/catalog.h"

typedef struct MoAnomalies MoAnomalies;

/* From the catalog's array, into the current memory context; NULL gives NULL. */
extern MoAnomalies *mo_anomalies_parse(Jsonb *array);

/*
 * How strictly to take a broken rule: MO_ENFORCE_ENFORCE unless the contract
 * says less.  "place" is a JSON Pointer into the event; "rule" a keyword, NULL
 * for a property that nothing declares.
 */
extern MoEnforcement mo_anomalies_judge(const MoAnomalies *anomalies,
										const char *place, const char *rule);

#endif							/* MO_ANOMALY_H */
