package mme;

import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.util.CharsetUtil;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * What the server counts, for {@link Metrics}. It is kept here, in the JVM, which lives as long as the
 * server and sees each answer, also those that no worker gives (a full queue, no answer in time);
 * workers and model hosts come and go.
 *
 * <p>Series are named by the target model that the caller named, or by MMS's name of the model until
 * a call has told it. They are kept for all models that are loaded and for the {@value #KEPT} others
 * that were in use last. What is dropped is added to the series with an empty name, so that the
 * sum over all only grows.
 */
final class Counters {

    static final Counters ALL = new Counters();

    /** How many models that are not loaded keep their series. */
    static final int KEPT = 100;

    /** An unload is for want of memory where a load was refused for it so shortly before. */
    private static final long MAKING_ROOM_MS = 60_000;

    /** Of what a load put out of memory so many letters are told, of 1,024 that SageMaker hands on. */
    private static final int MOST_TOLD = 600;

    private static final int LONGEST_NAME = 1024; // of TargetModel

    private static final String ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes";

    /** By target model, those in use last at the end. */
    private final Map<String, Series> series = new LinkedHashMap<>(64, 0.75f, true);

    private final Series dropped = new Series();
    private final Map<String, Loaded> loaded = new HashMap<>();
    private final Map<String, Long> failures = new TreeMap<>();
    private long refusedForMemory = Long.MIN_VALUE / 2;

    /** What was unloaded to make room, until a load has taken the room: when, and which. */
    private final Deque<Map.Entry<Long, String>> room = new ArrayDeque<>();

    /** A model that MMS has, by MMS's name. */
    static final class Loaded {

        final long since;
        private final double seconds;
        private final List<String> putOut;
        private String target;
        private boolean told;

        private Loaded(String target, long since, double seconds, List<String> putOut) {
            this.target = target;
            this.since = since;
            this.seconds = seconds;
            this.putOut = putOut;
        }

        String target() {
            return target;
        }

        /** {@code ;ready_ms=131.2;put_out_n=2;put_out=a.tar.gz,b.tar.gz}, names as in a form. */
        private String said() {
            StringBuilder out = new StringBuilder(";ready_ms=");
            out.append(String.format(Locale.ROOT, "%.1f", seconds * 1000));
            if (!putOut.isEmpty()) {
                out.append(";put_out_n=").append(putOut.size()).append(";put_out=");
                int begin = out.length();
                for (String one : putOut) {
                    String name = URLEncoder.encode(one, StandardCharsets.UTF_8);
                    if (out.length() - begin + name.length() >= MOST_TOLD) {
                        break; // the number says how many there are
                    }
                    out.append(out.length() > begin ? "," : "").append(name);
                }
            }
            return out.toString();
        }
    }

    /** All of it at one moment, for a reader who takes his time. */
    static final class Snapshot {
        final Map<String, Series> series = new TreeMap<>();
        final Map<String, Loaded> loaded = new TreeMap<>();
        Map<String, Long> failures;
    }

    private Counters() {}

    synchronized Snapshot snapshot() {
        Snapshot found = new Snapshot();
        series.forEach((target, one) -> found.series.put(target, one.copy()));
        if (!dropped.isEmpty()) {
            found.series.put("", dropped.copy());
        }
        loaded.forEach(
                (name, model) -> {
                    Loaded copy = new Loaded(model.target, model.since, 0, List.of());
                    found.loaded.put(name, copy);
                });
        found.failures = new TreeMap<>(failures);
        return found;
    }

    /**
     * A call of the model {@code name} was answered. {@code header} is the caller's name for it, where
     * there is one. The worker's times are in the answer's attributes; to those of a cold call is
     * added what the worker cannot know: how long the load took, and what was unloaded for it.
     */
    void called(String name, String header, FullHttpResponse answer, double seconds) {
        int status = answer.status().code();
        String kind = status < 400 ? null : kind(status, answer);
        String attributes =
                status == 200 ? answer.headers().get(ATTRIBUTES) : null;
        String target = header == null || header.isEmpty() ? null : readable(header);
        synchronized (this) {
            Series one = of(name, target);
            one.calls++;
            one.lastCall = System.currentTimeMillis();
            one.answer.add(seconds);
            if (kind != null) {
                Series.count(one.errors, kind);
            }
            if (attributes != null) {
                times(one, attributes);
                Loaded model = loaded.get(name);
                if (model != null && attributes.startsWith("cold=1;")) {
                    answer.headers().set(ATTRIBUTES, attributes + model.said());
                }
            }
        }
    }

    synchronized void loadAnswered(String name, int status, double seconds) {
        long now = System.currentTimeMillis();
        if (status < 300) {
            Loaded model =
                    loaded.computeIfAbsent(name, key -> new Loaded(key, now, seconds, taken(now)));
            created(model.target).load.add(seconds);
            return;
        }
        if (status == 507) {
            refusedForMemory = now;
        }
        Series.count(failures, failure(status));
    }

    synchronized void unloaded(String name) {
        long now = System.currentTimeMillis();
        boolean forRoom = now - refusedForMemory < MAKING_ROOM_MS;
        Loaded model = loaded.get(name);
        if (forRoom && model != null) {
            room.add(Map.entry(now, model.target));
            Series known = created(model.target);
            if (known.lastCall > 0) {
                known.idle.add((now - known.lastCall) / 1000.0);
            }
        }
        gone(name, forRoom ? "memory" : "request");
    }

    /** What made room for the load that has ended now; of several at a time the first takes it. */
    private List<String> taken(long now) {
        List<String> found = new ArrayList<>();
        for (Map.Entry<Long, String> one : room) {
            if (now - one.getKey() < MAKING_ROOM_MS) {
                found.add(one.getValue());
            }
        }
        room.clear();
        return found;
    }

    /** The model's worker has died, and none could take its place: MMS has removed the model. */
    synchronized void lost(String name) {
        gone(name, "worker_died");
    }

    synchronized void died(String name) {
        of(name, null).deaths++;
    }

    private void gone(String name, String reason) {
        Loaded model = loaded.remove(name);
        if (model != null) {
            Series.count(created(model.target).evictions, reason);
            bound();
        }
    }

    /** The series of a call; there are none for names that nobody has loaded. */
    private Series of(String name, String target) {
        Loaded model = loaded.get(name);
        if (model == null) {
            Series known = series.get(target == null ? name : target);
            return known == null ? dropped : known;
        }
        if (target == null) {
            return created(model.target);
        }
        if (!model.told) {
            String before = model.target;
            model.target = target;
            model.told = true;
            if (!before.equals(target) && !targets().contains(before)) {
                Series soFar = series.remove(before);
                if (soFar != null) {
                    created(target).add(soFar);
                }
            }
        }
        return created(target);
    }

    private Series created(String target) {
        Series found = series.get(target);
        if (found == null) {
            found = new Series();
            series.put(target, found);
            bound();
        }
        return found;
    }

    private Set<String> targets() {
        Set<String> found = new HashSet<>();
        loaded.values().forEach(model -> found.add(model.target));
        return found;
    }

    private void bound() {
        if (series.size() <= KEPT) {
            return;
        }
        Set<String> needed = targets();
        int others = 0;
        for (String target : series.keySet()) {
            others += needed.contains(target) ? 0 : 1;
        }
        Iterator<Map.Entry<String, Series>> eldest = series.entrySet().iterator();
        while (others > KEPT) {
            Map.Entry<String, Series> one = eldest.next();
            if (!needed.contains(one.getKey())) {
                dropped.add(one.getValue());
                eldest.remove();
                others--;
            }
        }
    }

    /** {@code cold=1;load_ms=98.1;decode_ms=1.0;infer_ms=9.4;threads=2} (model_handler.py). */
    private static void times(Series one, String attributes) {
        for (String part : attributes.split(";")) {
            int at = part.indexOf('=');
            if (at < 0) {
                continue;
            }
            String value = part.substring(at + 1);
            try {
                switch (part.substring(0, at)) {
                    case "cold":
                        one.cold += "1".equals(value) ? 1 : 0;
                        break;
                    case "decode_ms":
                        one.decode.add(Double.parseDouble(value) / 1000);
                        break;
                    case "infer_ms":
                        one.inference.add(Double.parseDouble(value) / 1000);
                        break;
                    default:
                        break;
                }
            } catch (NumberFormatException e) {
                continue; // the answers of another handler
            }
        }
    }

    private static String kind(int status, FullHttpResponse answer) {
        switch (status) {
            case 400:
                return "bad_request";
            case 404:
                return "not_loaded";
            case 406:
                return "not_acceptable";
            case 413:
                return "too_large";
            case 415:
                return "unsupported_media_type";
            case 500:
                return "no_answer";
            case 507:
                return "out_of_memory";
            case 503:
                String body = answer.content().toString(CharsetUtil.UTF_8);
                if (body.contains("No worker is available")) {
                    return "queue_full";
                }
                return body.contains("shutting down") ? "shutting_down" : "prediction_failed";
            default:
                return "other";
        }
    }

    private static String failure(int status) {
        switch (status) {
            case 400:
                return "bad_artifact";
            case 404:
                return "not_found";
            case 409:
                return "already_loaded";
            case 503:
                return "shutting_down";
            case 507:
                return "out_of_memory";
            default:
                return "other";
        }
    }

    /** A header's bytes, which Netty takes for Latin-1, as UTF-8; no longer than a name can be. */
    private static String readable(String header) {
        String text = header;
        for (int i = 0; i < header.length(); i++) {
            if (header.charAt(i) > 0x7f) {
                text = new String(header.getBytes(CharsetUtil.ISO_8859_1), CharsetUtil.UTF_8);
                break;
            }
        }
        return text.length() > LONGEST_NAME ? text.substring(0, LONGEST_NAME) : text;
    }
}
