/*-------------------------------------------------------------------------
 *
 * compare_int.h
 *	  What the files of the compatibility prover share among themselves.
 *
 * The prover answers one question: is there a document that satisfies a
 * formula?  "Is every document of A one of B" is the same question about
 * "A and not B".  See COMPATIBILITY.md for the method; in short:
 *
 *	 compare_json.c	JSON values, interned: equal values are one pointer
 *	 compare_formula.c	formulas, interned, with negation and per-type view
 *	 compare_shape.c	compiled subschemas and their dynamic scope
 *	 compare_readings.c	a contract as its producers or consumers read it
 *	 compare_build.c	keywords to formulas
 *	 compare_closed.c	the producer's closed reading as a formula
 *	 compare_eval.c		does this value satisfy this formula
 *	 compare_solve.c	the search: cases, memory, limits
 *	 compare_number.c, compare_string.c, compare_array.c, compare_object.c
 *						one type's literals decided, with a witness
 *	 language_regex.c, language_search.c
 *						patterns as automata
 *
 * Everything lives in MoProver.context and goes with it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_COMPARE_INT_H
#define MO_COMPARE_INT_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "contract/compare.h"
#include "contract/program.h"

/* ---- values ---- */

#define MO_KINDS (MO_OBJECT + 1)
#define MO_KIND_BIT(k) (1 << (k))
#define MO_ALL_KINDS ((1 << MO_KINDS) - 1)

typedef struct MoJson MoJson;

/* Interned in one prover: equal values, 1 and 1.0 too, are the same pointer. */
struct MoJson
{
	MoKind kind;
	uint32		hash;
	uint32		id;				/* order of creation */
	bool		boolean;
	Numeric		number;
	const char *string;			/* NUL-terminated */
	int			length;			/* bytes of string, or number of items */
	int			chars;			/* code points of string */
	const MoJson **items;		/* array items, or the members' values */
	const MoJson **names;		/* object: string values, in order of id */
	MoJson    *next;			/* hash chain */
};

/* ---- formulas ---- */

typedef enum MoFormulaKind
{
	MO_F_TRUE,
	MO_F_FALSE,
	MO_F_AND,
	MO_F_OR,
	MO_F_ONE,					/* exactly one of args */
	MO_F_NOTONE,				/* none or more than one */
	MO_F_TYPE,					/* kind is in mask */
	MO_F_ENUM,					/* one of values */
	MO_F_VAR,					/* a recursive reference; shape says which */

	/*
	 * Literals of one type.  The positive one holds for every value of
	 * another type, as JSON Schema's keywords do; the negated one for none.
	 */
	MO_F_NUM_MIN,				/* number, strict */
	MO_F_NUM_MAX,				/* number, strict */
	MO_F_NUM_MULTIPLE,			/* number */
	MO_F_STR_MIN,				/* count */
	MO_F_STR_MAX,
	MO_F_STR_PATTERN,			/* text */
	MO_F_STR_FORMAT,			/* text */
	MO_F_ARR_MIN,				/* count */
	MO_F_ARR_MAX,
	MO_F_ARR_UNIQUE,
	MO_F_ARR_ALL,				/* items [count, upto): args[0] */
	MO_F_ARR_COUNT,				/* at least count items satisfy args[0] */
	MO_F_OBJ_MIN,				/* count */
	MO_F_OBJ_MAX,
	MO_F_OBJ_ALL,				/* a name in args[0] has a value in args[1] */
	MO_F_UNEVAL_ITEMS,			/* see compare_build.c */
	MO_F_UNEVAL_PROPS,
	MO_F_CLOSED					/* see compare_closed.c */
} MoFormulaKind;

typedef struct MoFormula MoFormula;
typedef struct MoShape MoShape;

/* What is known about the values that satisfy a formula. */
typedef enum MoVerdictState
{
	MO_UNSOLVED,
	MO_EMPTY,
	MO_WITNESS,
	MO_UNKNOWN
} MoVerdictState;

#define MO_NO_LIMIT PG_INT64_MAX

struct MoFormula
{
	MoFormulaKind kind;
	bool		negated;		/* literals, TYPE, ENUM, VAR */
	bool		strict;
	uint8		mask;			/* TYPE */
	uint32		hash;
	uint32		id;
	int			nargs;
	MoFormula **args;
	int			nvalues;
	const MoJson **values;		/* ENUM, in order of id */
	Numeric		number;
	int64		count;
	int64		upto;
	const char *text;
	const void *shape;			/* VAR: MoShape; CLOSED: MoFrames */

	MoFormula  *complement;		/* NULL until asked for */
	MoFormula  *view[MO_KINDS]; /* as seen by a value of that kind */
	MoFormula  *opened[2];		/* CLOSED: its first split, array and object */
	uint8		viewing;		/* kinds whose view is being computed */

	/* any value; by kind; kept only when it holds without assumptions */
	MoVerdictState state;
	const MoJson *witness;
	MoVerdictState kind_state[MO_KINDS];
	const MoJson *kind_witness[MO_KINDS];
	MoVerdictState theory_state;	/* conjunction of literals of one type */
	const MoJson *theory_witness;
	int			depth;			/* on the stack of questions, 0: is not */

	struct MoLanguage *language;	/* STR_PATTERN, some formats: automaton */
	bool		language_tried;
	const char *language_reason;	/* why there is none */
	MoPattern  *pattern;		/* STR_PATTERN: to try on a string */
	MoFormula  *next;			/* hash chain */
};

/* ---- schemas ---- */

/* Where a dynamic anchor was met first on the way to a schema. */
typedef struct MoAnchors
{
	int			count;
	const MoAnchor **anchors;	/* one for each name, in order of address */
} MoAnchors;

/* One compiled subschema as reached with one dynamic scope. */
struct MoShape
{
	const MoNode *node;
	const MoAnchors *scope;
	uint32		id;
	MoFormula  *formula;		/* NULL until built */
	bool		building;
	bool		evaluates_done;
	bool		evaluating;
	List	   *evaluates;		/* of MoEvaluated */
	MoShape    *next;			/* hash chain */
};

/* A set of names or items that a schema evaluates when "condition" holds. */
typedef struct MoEvaluated
{
	MoFormula  *condition;
	MoFormula  *names;			/* over strings; NULL: items */
	int64		upto;			/* items [0, upto) */
	MoFormula  *contains;		/* and those that satisfy this; or NULL */
} MoEvaluated;

/* ---- the prover ---- */

typedef struct MoProver
{
	MemoryContext context;
	bool		dynamic;		/* some schema has a $dynamicRef */

	MoJson   **value_table;
	uint32		value_slots;
	uint32		value_count;
	MoFormula **formula_table;
	uint32		formula_slots;
	uint32		formula_count;
	MoFormula  *truth;
	MoFormula  *falsehood;
	MoShape   **shape_table;
	uint32		shape_slots;
	List	   *scopes;
	List	   *frames;
	uint32		shape_count;

	/* limits; once stopped everything answers MO_UNKNOWN */
	TimestampTz deadline;
	Size		memory_limit;
	bool		stopped;
	uint64		ticks;
	int			depth;			/* nesting of questions about values */
	int			assumed;		/* lowest depth an answer relied on */
	char	   *reason;			/* why something stayed unknown (the first) */
	char	   *reason_keyword;

	/* for the report */
	uint64		cases;
} MoProver;

/* A list of formulas or values that grows. */
typedef struct MoFormulas
{
	int			count;
	int			space;
	MoFormula **items;
} MoFormulas;

/* compare_json.c */
extern const MoJson *mo_json_null(MoProver *p);
extern const MoJson *mo_json_bool(MoProver *p, bool boolean);
extern const MoJson *mo_json_number(MoProver *p, Numeric number);
extern const MoJson *mo_json_int(MoProver *p, int64 number);
extern const MoJson *mo_json_string(MoProver *p, const char *s, int length);
extern const MoJson *mo_json_array(MoProver *p, const MoJson **items, int n);
extern const MoJson *mo_json_object(MoProver *p, const MoJson **names,
									  const MoJson **values, int n);
extern const MoJson *mo_json_read(MoProver *p, const MoValue *value);
extern Jsonb *mo_json_to_jsonb(const MoJson *value);
extern int	mo_numeric_cmp(Numeric a, Numeric b);
extern Numeric mo_numeric_op(PGFunction op, Numeric a, Numeric b);
extern bool mo_numeric_is_multiple(Numeric n, Numeric of);

/* compare_formula.c */
extern void mo_formulas_add(MoFormulas *list, MoFormula *f);
extern MoFormula *mo_formula_and(MoProver *p, MoFormula **args, int n);
extern MoFormula *mo_formula_or(MoProver *p, MoFormula **args, int n);
extern MoFormula *mo_formula_and2(MoProver *p, MoFormula *a, MoFormula *b);
extern MoFormula *mo_formula_or2(MoProver *p, MoFormula *a, MoFormula *b);
extern MoFormula *mo_formula_one(MoProver *p, MoFormula **args, int n);
extern MoFormula *mo_formula_not(MoProver *p, MoFormula *f);
extern MoFormula *mo_formula_type(MoProver *p, int mask);
extern MoFormula *mo_formula_enum(MoProver *p, const MoJson **values, int n);
extern MoFormula *mo_formula_var(MoProver *p, MoShape *shape);
extern MoFormula *mo_formula_number(MoProver *p, MoFormulaKind kind,
									Numeric number, bool strict);
extern MoFormula *mo_formula_count(MoProver *p, MoFormulaKind kind,
								   int64 count);
extern MoFormula *mo_formula_text(MoProver *p, MoFormulaKind kind,
								  const char *text);
extern MoFormula *mo_formula_items(MoProver *p, int64 from, int64 upto,
								   MoFormula *item);
extern MoFormula *mo_formula_item_count(MoProver *p, MoFormula *item,
										int64 count);
extern MoFormula *mo_formula_names(MoProver *p, MoFormula *names,
								   MoFormula *value);
extern MoFormula *mo_formula_composite(MoProver *p, MoFormulaKind kind,
									   MoFormula **args, int nargs,
									   int64 count, const void *shape);
extern MoFormula *mo_formula_view(MoProver *p, MoFormula *f, MoKind kind);
extern MoFormula *mo_formula_required(MoProver *p, const MoJson *name);

/* compare.c */
extern MoProver *mo_prover_create(MemoryContext context);
extern MoFormula *mo_prover_add(MoProver *p, const MoSchema *schema);

/* compare_readings.c */
extern MoSchema *mo_reading_compile(const MoReading *reading,
									bool assert_formats, bool *kept_closed);

/* compare_shape.c */
extern MoShape *mo_shape_root(MoProver *p, const MoSchema *schema);
extern MoShape *mo_shape_child(MoProver *p, const MoShape *from,
							   const MoNode *node);
extern MoShape *mo_shape_dynamic(MoProver *p, const MoShape *from);

/* compare_build.c */
extern MoFormula *mo_shape_formula(MoProver *p, MoShape *shape);
extern List *mo_shape_evaluates(MoProver *p, MoShape *shape);
extern MoFormula *mo_uneval_expand(MoProver *p, MoFormula *f);

/* compare_closed.c */
extern MoFormula *mo_closed_formula(MoProver *p, MoShape *root);
extern MoFormula *mo_closed_expand(MoProver *p, MoFormula *f,
								   MoKind kind);
extern bool mo_closed_is_open(const MoFormula *f);

/* compare_eval.c: 1 yes, 0 no, -1 cannot tell */
extern int	mo_formula_holds(MoProver *p, MoFormula *f, const MoJson *value);
extern int	mo_string_check(MoProver *p, MoFormula *f, const MoJson *value);

/* compare_solve.c */
extern MoVerdictState mo_solve(MoProver *p, MoFormula *f,
							   const MoJson **witness);
extern MoVerdictState mo_solve_kind(MoProver *p, MoFormula *f,
									MoKind kind,
									const MoJson **witness);
extern int	mo_solve_several(MoProver *p, MoFormula *f, int wanted,
							 const MoJson **values, bool *complete);
extern bool mo_prover_tick(MoProver *p);
extern void mo_prover_unsure(MoProver *p, const char *keyword,
							 const char *reason);

/* the theories: literals of one kind, all to hold */
extern MoVerdictState mo_number_solve(MoProver *p, MoFormula **literals,
									  int n, const MoJson **witness);
extern MoVerdictState mo_string_solve(MoProver *p, MoFormula **literals,
									  int n, const MoJson **witness);
extern MoVerdictState mo_array_solve(MoProver *p, MoFormula **literals,
									 int n, const MoJson **witness);
extern MoVerdictState mo_object_solve(MoProver *p, MoFormula **literals,
									  int n, const MoJson **witness);

#endif							/* MO_COMPARE_INT_H */
