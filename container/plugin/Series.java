package mme;

import java.util.Map;
import java.util.TreeMap;

/** What is counted of one target model. Guarded by the lock of {@link Counters}. */
final class Series {

    long calls;
    long cold;
    long deaths;
    long lastCall;
    final Map<String, Long> errors = new TreeMap<>();
    final Map<String, Long> evictions = new TreeMap<>();

    /** From the request to its answer, the time in the queue included. */
    final Histogram answer = new Histogram(ANSWER);

    final Histogram load = new Histogram(LOAD);
    final Histogram decode = new Histogram(DECODE);
    final Histogram inference = new Histogram(ANSWER);

    /** How long nobody had called it when it was unloaded to make room. */
    final Histogram idle = new Histogram(IDLE);

    private static final double[] LOAD = {
        0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 360
    };
    private static final double[] DECODE = {
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1
    };
    private static final double[] IDLE = {
        1, 5, 15, 60, 300, 900, 3600, 14400, 43200, 86400, 604800
    };
    private static final double[] ANSWER = {
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60
    };

    static void count(Map<String, Long> counts, String kind) {
        counts.merge(kind, 1L, Long::sum);
    }

    void add(Series other) {
        calls += other.calls;
        cold += other.cold;
        deaths += other.deaths;
        lastCall = Math.max(lastCall, other.lastCall);
        other.errors.forEach((kind, count) -> errors.merge(kind, count, Long::sum));
        other.evictions.forEach((kind, count) -> evictions.merge(kind, count, Long::sum));
        answer.add(other.answer);
        load.add(other.load);
        decode.add(other.decode);
        inference.add(other.inference);
        idle.add(other.idle);
    }

    /** Whether nothing was ever counted in it. */
    boolean isEmpty() {
        return calls == 0 && deaths == 0 && evictions.isEmpty() && load.isEmpty();
    }

    Series copy() {
        Series copy = new Series();
        copy.add(this);
        return copy;
    }
}
