/* Replication of the store: log, publication, rebirth of the primary, loss and refill of a backup.
 *
 * A Promela model of docs/replication.md, for SPIN. The unit is a message, not a byte. The primary
 * may die before any store into memory that others see (every STEP); a backup's memory may be lost;
 * a backup may be out of reach when the primary is reborn, and come back with what it had.
 *
 * Two guests. A sends write, read, large read, write: its whole answer stream is known in advance.
 * B watches the node that A writes, and reads it: events come once each and in order, and a read
 * gives as many writes as events came before it. -DSMALL: A writes and reads, B only watches; for
 * more faults at once.
 *
 * Variants that must fail, to show that the model can: -DNO_INTENT, -DANSWER_FIRST, -DONE_LOG,
 * -DNO_CONFIGURATION, -DREADS_UNORDERED, -DTORN_BELIEVED, -DNO_REPAIR.
 */

#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef ABSENCES
#define ABSENCES 1
#endif

#define CAP 2      /* messages that a ring's direction holds */
#define RECORDS 6  /* more than can be logged: 4 of A, 1 of B */
#define B_READ 9   /* a record's content: A's request number from 1, or this */
#ifdef SMALL
#define NA 2       /* A's requests: write, read */
#define OUT_A 2    /* messages of A's answer stream */
#define NB 0       /* B's requests */
#define OUT_B 1    /* an event */
#define IS_WRITE(r) ((r) == 1)
#define IS_LARGE(r) 0
#else
#define NA 4       /* write, read, large read, write */
#define OUT_A 5    /* a large read has two */
#define NB 1       /* a read */
#define OUT_B 3    /* two events and an answer */
#define IS_WRITE(r) ((r) == 1 || (r) == 4)
#define IS_LARGE(r) ((r) == 3)
#endif

/* --- What outlives the primary: the guests' ring pages ... */
byte req_prod[2], req_cons[2], rsp_prod[2], rsp_cons[2];
byte rsp[4];     /* guest * CAP + position % CAP */

/* ... and the regions of two backups. */
byte records[12];  /* region * RECORDS + number */
byte length[2];
byte configuration[2];
bit member[2];
typedef Slot {
  bit intact;
  byte serial, in_after, out_after, logged_after, in_count, out_count, logged_count
}
Slot slots[8];     /* region * 4 + guest * 2 + serial % 2 */

byte crashes = CRASHES, losses = LOSSES, absences = ABSENCES;
bit gone[2];       /* the memory was lost; the primary does not know yet */
bit recovering;    /* a loss now would end this recovery and begin another: as if it came before */
byte acknowledged; /* writes whose answer A has seen */
byte events;       /* events that B has seen */
bit b_answered;

#define DONE (rsp_cons[0] == OUT_A && rsp_cons[1] == OUT_B)

/* --- Guests */

active proctype GuestA() {
  byte token;
end:
  do
  :: atomic { req_prod[0] < NA && req_prod[0] - req_cons[0] < CAP -> req_prod[0]++ }
  :: atomic {
       rsp_cons[0] < rsp_prod[0] ->
       token = rsp[rsp_cons[0] % CAP];
       /* One answer per request, in order, right, executed once: the number behind each answer is
          the count of writes executed. */
       if
       :: rsp_cons[0] == 0 -> assert(token == 11); acknowledged++
       :: rsp_cons[0] == 1 -> assert(token == 21)
       :: rsp_cons[0] == 2 -> assert(token == 31)
       :: rsp_cons[0] == 3 -> assert(token == 41)
       :: rsp_cons[0] == 4 -> assert(token == 12); acknowledged++
       fi;
       rsp_cons[0]++; token = 0
     }
  od
}

active proctype GuestB() {
  byte token;
end:
  do
  :: atomic { req_prod[1] < NB -> req_prod[1]++ }
  :: atomic {
       rsp_cons[1] < rsp_prod[1] ->
       token = rsp[CAP + rsp_cons[1] % CAP];
       if
       :: token >= 60 -> assert(token == 60 + events); assert(!b_answered); b_answered = 1
       :: else -> events++; assert(token == 50 + events)
       fi;
       rsp_cons[1]++; token = 0
     }
  od
}

/* --- The primary */

/* Death: all that follows is what a reborn primary does. */
#define STEP if :: skip :: crashes > 0 -> crashes--; goto dead fi

/* Executes record `r`: the machine, which is deterministic. */
inline execute(r) {
  if
  :: r == B_READ ->
     in[1]++; queue[8 + total[1]] = 60 + value; total[1]++
  :: else ->
     in[0] = r;
     if
     :: IS_WRITE(r) ->
        value++;
        queue[total[0]] = 10 + value; total[0]++;
        queue[8 + total[1]] = 50 + value; total[1]++
     :: IS_LARGE(r) ->
        queue[total[0]] = 30 + value; total[0]++;
        queue[total[0]] = 40 + value; total[0]++
     :: else ->
        queue[total[0]] = 20 + value; total[0]++
     fi
  fi
}

inline append_to(region, r) {
  STEP;
  atomic {
    if
    :: set[region] && !gone[region] ->
       records[region * RECORDS + length[region]] = r; length[region]++
    :: else
    fi
  }
}

/* The log first, everywhere, before anything of it is visible. */
inline commit(r) {
#ifdef ANSWER_FIRST
  atomic { execute(r) };
  publish_logged(0);
  append_to(0, r);
  append_to(1, r)
#else
  append_to(0, r);
#ifndef ONE_LOG
  append_to(1, r);
#endif
  atomic { execute(r) }
#endif
}

#define SLOT(region, g, s) slots[(region) * 4 + (g) * 2 + (s) % 2]

/* An intent is several words: it is torn until the last one, the check, is there. */
inline intend_at(region, g) {
#ifndef NO_INTENT
  STEP;
  atomic {
    if
    :: set[region] && !gone[region] ->
       SLOT(region, g, serial[g]).intact = 0;
#ifdef TORN_BELIEVED
       SLOT(region, g, serial[g]).intact = 1;
       SLOT(region, g, serial[g]).serial = serial[g];
#endif
    :: else
    fi
  };
  STEP;
  atomic {
    if
    :: set[region] && !gone[region] ->
       SLOT(region, g, serial[g]).serial = serial[g];
       SLOT(region, g, serial[g]).in_after = in[g] + in_count;
       SLOT(region, g, serial[g]).out_after = out[g] + out_count;
       SLOT(region, g, serial[g]).logged_after = logged[g] + logged_count;
       SLOT(region, g, serial[g]).in_count = in_count;
       SLOT(region, g, serial[g]).out_count = out_count;
       SLOT(region, g, serial[g]).logged_count = logged_count;
       SLOT(region, g, serial[g]).intact = 1
    :: else
    fi
  }
#else
  skip
#endif
}

/* The bytes lie in the ring already; the one store to rsp_prod makes it happen. */
inline publish(g) {
  serial[g]++;
  intend_at(0, g);
  intend_at(1, g);
  STEP;
  atomic { out[g] = out[g] + out_count; rsp_prod[g] = out[g] };
  atomic { logged[g] = logged[g] + logged_count; in[g] = in[g] + in_count };
  STEP;
  req_cons[g] = in[g];
  atomic { in_count = 0; out_count = 0; logged_count = 0; current = 0 }
}

#define ROOM(g) (CAP - (out[g] - rsp_cons[g]))
#define WAITING(g) (total[g] - logged[g])

/* As much as there is room for. */
inline publish_logged(g) {
  if
  :: WAITING(g) > 0 && ROOM(g) > 0 ->
     STEP;
     atomic {
       rsp[g * CAP + out[g] % CAP] = queue[g * 8 + logged[g]];
       out_count = 1;
       if
       :: WAITING(g) > 1 && ROOM(g) > 1 ->
          rsp[g * CAP + (out[g] + 1) % CAP] = queue[g * 8 + logged[g] + 1]; out_count = 2
       :: else
       fi;
       logged_count = out_count
     };
     publish(g)
  :: else
  fi
}

/* A read whose answer can be published in one instant is not logged. */
inline read_unlogged(g, token) {
  STEP;
  atomic { rsp[g * CAP + out[g] % CAP] = token; in_count = 1; out_count = 1; logged_count = 0 };
  publish(g)
}

#define NEW_CONFIGURATION (configuration[0] > configuration[1] -> configuration[0] + 1 : configuration[1] + 1)

#ifdef NO_CONFIGURATION
#define COMPLETE(i) (member[i] && !away[i])
#else
#define COMPLETE(i) (member[i] && !away[i] && configuration[i] >= configuration[1 - (i)])
#endif

active proctype Primary() {
  byte value, current, best, other, i, g, s, newest;
  byte in[2], out[2], logged[2], total[2], serial[2];
  byte queue[16];  /* guest * 8 + number: logged messages of each guest */
  byte in_count, out_count, logged_count;
  bit set[2], away[2];
  bit found;

  /* The host's start: two empty regions. */
  atomic {
    member[0] = 1; member[1] = 1; configuration[0] = 1; configuration[1] = 1; set[0] = 1; set[1] = 1
  };
  goto serve;

dead:
  skip;
  /* Nothing of its own memory counts any more. */
  d_step {
    recovering = 0;
    value = 0; current = 0; in_count = 0; out_count = 0; logged_count = 0;
    set[0] = 0; set[1] = 0; away[0] = 0; away[1] = 0;
    i = 0;
    do
    :: i < 16 -> queue[i] = 0; i++
    :: else -> break
    od;
    g = 0;
    do
    :: g < 2 -> in[g] = 0; out[g] = 0; logged[g] = 0; total[g] = 0; serial[g] = 0; g++
    :: else -> break
    od;
    i = 0; g = 0; best = 0; other = 0; s = 0; newest = 0; found = 0
  };

  /* Choose the longest log among complete regions. One of two may be out of reach. */
  atomic {
    recovering = 1; gone[0] = 0; gone[1] = 0;
    if
    :: absences > 0 && COMPLETE(0) && COMPLETE(1) -> absences--; away[0] = 1
    :: absences > 0 && COMPLETE(0) && COMPLETE(1) -> absences--; away[1] = 1
    :: skip
    fi;
    assert(COMPLETE(0) || COMPLETE(1));
    if
    :: COMPLETE(0) && (!COMPLETE(1) || length[0] >= length[1]) -> best = 0
    :: else -> best = 1
    fi;
    other = 1 - best
  };
  /* Bring the other one up to it. */
  do
  :: COMPLETE(other) && length[other] < length[best] ->
     STEP;
     atomic {
       records[other * RECORDS + length[other]] = records[best * RECORDS + length[other]];
       length[other]++
     }
  :: else -> break
  od;
  atomic {
    set[best] = 1;
    if
    :: COMPLETE(other) -> set[other] = 1
    :: else
    fi
  };
  if
  :: !set[other] -> STEP; configuration[best] = NEW_CONFIGURATION
  :: else
  fi;

  /* The state is a function of the log. */
  d_step {
    i = 0;
    do
    :: i < length[best] -> execute(records[best * RECORDS + i]); i++
    :: else -> break
    od;
    i = 0;
    assert(value >= acknowledged)  /* no acknowledged write is lost */
  };

  /* What happened at the rings? */
  g = 0;
  do
  :: g < 2 ->
     d_step {
       newest = 0; found = 0; i = 0;
       do
       :: i < 4 ->
          if
          :: set[i / 2] && SLOT(i / 2, g, i).intact && SLOT(i / 2, g, i).serial > newest ->
             newest = SLOT(i / 2, g, i).serial; s = (i / 2) * 4 + g * 2 + i % 2; found = 1
          :: else
          fi;
          i++
       :: else -> break
       od;
       if
       :: found ->
          serial[g] = slots[s].serial;
          out[g] = slots[s].out_after;
          logged[g] = slots[s].logged_after;
          if
          :: slots[s].in_after > in[g] -> in[g] = slots[s].in_after
          :: else
          fi;
          if
          :: rsp_prod[g] == out[g]
          :: else ->
             /* It did not happen. */
             out[g] = out[g] - slots[s].out_count;
             logged[g] = logged[g] - slots[s].logged_count;
             assert(rsp_prod[g] == out[g]);
             if
             :: slots[s].in_count > 0 && in[g] == slots[s].in_after ->
                in[g] = in[g] - slots[s].in_count
             :: else
             fi
          fi
       :: else
#ifndef NO_INTENT
          -> assert(rsp_prod[g] == 0)
#else
          -> out[g] = rsp_prod[g]; logged[g] = (rsp_prod[g] < total[g] -> rsp_prod[g] : total[g])
#endif
       fi;
       i = 0; newest = 0
     };
     /* Whoever lacks that intent gets it, before another one may tear what it has instead. */
#ifndef NO_REPAIR
     do
     :: i < 2 ->
        if
        :: found && set[i] && !(SLOT(i, g, serial[g]).intact && SLOT(i, g, serial[g]).serial == serial[g]) ->
           STEP;
           SLOT(i, g, serial[g]).intact = 0;
           STEP;
           atomic {
             SLOT(i, g, serial[g]).serial = slots[s].serial;
             SLOT(i, g, serial[g]).in_after = slots[s].in_after;
             SLOT(i, g, serial[g]).out_after = slots[s].out_after;
             SLOT(i, g, serial[g]).logged_after = slots[s].logged_after;
             SLOT(i, g, serial[g]).in_count = slots[s].in_count;
             SLOT(i, g, serial[g]).out_count = slots[s].out_count;
             SLOT(i, g, serial[g]).logged_count = slots[s].logged_count;
             SLOT(i, g, serial[g]).intact = 1
           }
        :: else
        fi;
        i++
     :: else -> break
     od;
#endif
     atomic { i = 0; s = 0; found = 0 };
     STEP;
     req_cons[g] = in[g];
     g++
  :: else -> break
  od;
  atomic { g = 0; away[0] = 0; away[1] = 0; recovering = 0 };

serve:
end:
  do
  /* A's next request. */
  :: atomic {
       in[0] < req_prod[0] && (IS_WRITE(in[0] + 1) || IS_LARGE(in[0] + 1)) -> current = in[0] + 1
     };
     commit(current);
     publish_logged(0);
     publish_logged(1)
  :: atomic {
       in[0] < req_prod[0] && !IS_WRITE(in[0] + 1) && !IS_LARGE(in[0] + 1) -> current = in[0] + 1
     };
     if
#ifdef READS_UNORDERED
     :: ROOM(0) > 0 -> read_unlogged(0, 20 + value)
#else
     :: WAITING(0) == 0 && ROOM(0) > 0 -> read_unlogged(0, 20 + value)
#endif
     :: else -> commit(current)
     fi
  :: in[1] < req_prod[1] ->
     if
     :: WAITING(1) == 0 && ROOM(1) > 0 -> read_unlogged(1, 60 + value)
     :: else -> current = B_READ; commit(current)
     fi
  :: WAITING(0) > 0 && ROOM(0) > 0 -> publish_logged(0)
  :: WAITING(1) > 0 && ROOM(1) > 0 -> publish_logged(1)
  /* A backup's memory was taken away: the others are told before anything else happens. */
  :: gone[0] || gone[1] ->
     atomic {
       if
       :: gone[0] -> i = 0
       :: else -> i = 1
       fi;
       set[i] = 0
     };
     STEP;
     atomic { configuration[1 - i] = NEW_CONFIGURATION; gone[i] = 0; i = 0 }
  /* Refill, record by record, from the member. */
  :: !set[0] || !set[1] ->
     atomic {
       if
       :: !set[0] -> i = 0
       :: else -> i = 1
       fi
     };
     if
     :: member[i] ->
        /* What it has is old. */
        STEP;
        atomic {
          member[i] = 0; length[i] = 0; s = 0;
          do
          :: s < 4 -> slots[i * 4 + s].intact = 0; s++
          :: else -> break
          od;
          s = 0
        }
     :: else
     fi;
     do
     :: length[i] < length[1 - i] ->
        STEP;
        atomic {
          records[i * RECORDS + length[i]] = records[(1 - i) * RECORDS + length[i]]; length[i]++
        }
     :: else -> break
     od;
     STEP;
     atomic {
       /* Where the streams stand. */
       g = 0;
       do
       :: g < 2 ->
          if
          :: serial[g] > 0 ->
             SLOT(i, g, serial[g]).serial = serial[g];
             SLOT(i, g, serial[g]).in_after = in[g];
             SLOT(i, g, serial[g]).out_after = out[g];
             SLOT(i, g, serial[g]).logged_after = logged[g];
             SLOT(i, g, serial[g]).in_count = 0;
             SLOT(i, g, serial[g]).out_count = 0;
             SLOT(i, g, serial[g]).logged_count = 0;
             SLOT(i, g, serial[g]).intact = 1
          :: else
          fi;
          g++
       :: else -> break
       od;
       g = 0
     };
     STEP;
     atomic { set[i] = 1; member[i] = 1; configuration[i] = NEW_CONFIGURATION };
     STEP;
     atomic { configuration[1 - i] = configuration[i]; i = 0 }
  od
}

/* --- Losses */

/* A backup is destroyed. The one fault that the set must not suffer: the only complete copy goes. */
active proctype Fate() {
end:
  do
  :: atomic {
       losses > 0 && !recovering && member[0] && member[1] && configuration[0] == configuration[1] ->
       losses--;
       byte lost, k;
       if
       :: lost = 0
       :: lost = 1
       fi;
       member[lost] = 0; length[lost] = 0; configuration[lost] = 0; gone[lost] = 1;
       k = 0;
       do
       :: k < RECORDS -> records[lost * RECORDS + k] = 0; k++
       :: else -> break
       od;
       k = 0;
       do
       :: k < 4 -> slots[lost * 4 + k].intact = 0; k++
       :: else -> break
       od;
       k = 0; lost = 0
     }
  od
}

/* --- Progress: faults are finite, and so is everything else, so every run ends. It must end with
   every answer and every event received. */
active proctype Progress() {
  timeout -> assert(DONE)
}
