package mme;

import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.ModelManager;
import com.amazonaws.ml.mms.wlm.WorkerThread;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.BiConsumer;
import software.amazon.ai.mms.servingsdk.Context;
import software.amazon.ai.mms.servingsdk.ModelServerEndpoint;
import software.amazon.ai.mms.servingsdk.annotations.Endpoint;
import software.amazon.ai.mms.servingsdk.annotations.helpers.EndpointTypes;
import software.amazon.ai.mms.servingsdk.http.Request;
import software.amazon.ai.mms.servingsdk.http.Response;

/**
 * The answer to /metrics, in Prometheus' text format, which SageMaker's detailed observability reads.
 *
 * <p>MMS answers it in a thread of its own, so that calls do not wait for it.
 */
@Endpoint(
        urlPattern = "metrics",
        endpointType = EndpointTypes.INFERENCE,
        description = "What the server has counted, for Prometheus")
public class Metrics extends ModelServerEndpoint {

    @Override
    public void doGet(Request request, Response response, Context context) throws IOException {
        byte[] body = page().getBytes(StandardCharsets.UTF_8);
        response.setStatus(200);
        response.setContentType(Page.CONTENT_TYPE);
        response.getOutputStream().write(body);
    }

    private static String page() throws IOException {
        Counters.Snapshot counted = Counters.ALL.snapshot();
        Page page = new Page();
        counters(page, counted.series);
        histograms(page, counted.series);
        ofLoaded(page, counted);
        ofServer(page, counted);
        return page.toString();
    }

    private static void counters(Page page, Map<String, Series> all) {
        page.family("mme_model_calls_total", "counter", "Calls answered, also with an error.");
        each(all, (labels, one) -> page.sample("mme_model_calls_total", labels, one.calls));
        page.family(
                "mme_model_cold_calls_total", "counter", "Answers that were a worker's first one.");
        each(all, (labels, one) -> page.sample("mme_model_cold_calls_total", labels, one.cold));
        page.family("mme_model_errors_total", "counter", "Calls answered with an error, by kind.");
        each(all, (labels, one) -> kinds(page, "mme_model_errors_total", labels, "kind", one.errors));
        page.family("mme_model_evictions_total", "counter", "Models unloaded, by reason.");
        each(
                all,
                (labels, one) ->
                        kinds(page, "mme_model_evictions_total", labels, "reason", one.evictions));
        page.family(
                "mme_model_worker_deaths_total", "counter", "Workers that a signal has killed.");
        each(
                all,
                (labels, one) -> page.sample("mme_model_worker_deaths_total", labels, one.deaths));
        page.family(
                "mme_model_last_call_timestamp_seconds", "gauge", "When a call was last answered.");
        each(
                all,
                (labels, one) -> {
                    if (one.lastCall > 0) {
                        double at = one.lastCall / 1000.0;
                        page.sample("mme_model_last_call_timestamp_seconds", labels, at);
                    }
                });
    }

    private static void histograms(Page page, Map<String, Series> all) {
        page.family(
                "mme_model_load_seconds",
                "histogram",
                "Time from the order to load a model until it can be called.");
        each(all, (labels, one) -> one.load.write(page, "mme_model_load_seconds", labels));
        page.family(
                "mme_model_decode_seconds", "histogram", "Time to read what a call has sent.");
        each(all, (labels, one) -> one.decode.write(page, "mme_model_decode_seconds", labels));
        page.family("mme_model_inference_seconds", "histogram", "Time of the network itself.");
        each(
                all,
                (labels, one) -> one.inference.write(page, "mme_model_inference_seconds", labels));
        page.family(
                "mme_model_eviction_age_seconds",
                "histogram",
                "Time since its last call when a model was unloaded to make room.");
        each(all, (labels, one) -> one.idle.write(page, "mme_model_eviction_age_seconds", labels));
        page.family(
                "mme_model_call_seconds",
                "histogram",
                "Time from a call to its answer, waiting included.");
        each(all, (labels, one) -> one.answer.write(page, "mme_model_call_seconds", labels));
    }

    /** Of models that are loaded; where two loads have one target model, it is their sum. */
    private static void ofLoaded(Page page, Counters.Snapshot counted) throws IOException {
        ModelManager manager = ModelManager.getInstance();
        Memory memory = Memory.now();
        Map<String, Long> since = new TreeMap<>();
        Map<String, Long> bytes = new TreeMap<>();
        Map<String, Long> waiting = new TreeMap<>();
        for (Map.Entry<String, Counters.Loaded> entry : counted.loaded.entrySet()) {
            String name = entry.getKey();
            Model model = manager.getModels().get(name);
            if (model == null) {
                continue; // it has gone meanwhile
            }
            String target = entry.getValue().target();
            since.merge(target, entry.getValue().since, Math::min);
            waiting.merge(target, queue(model), Long::sum);
            long size = 0;
            for (WorkerThread worker : manager.getWorkers(name)) {
                size += worker.getPid() > 0 ? memory.of(worker.getPid()) : 0;
            }
            bytes.merge(target, size, Long::sum);
        }
        page.family(
                "mme_model_loaded_timestamp_seconds", "gauge", "Since when the model is loaded.");
        since.forEach(
                (target, at) ->
                        page.sample(
                                "mme_model_loaded_timestamp_seconds", label(target), at / 1000.0));
        gauge(
                page,
                "mme_model_memory_bytes",
                "Memory of the model's workers: shared pages in proportion (PSS), without those of"
                        + " files.",
                bytes);
        gauge(page, "mme_model_queue_length", "Calls that wait for a worker.", waiting);
        total(page, "mme_models_loaded", "Models that are loaded.", counted.loaded.size());
    }

    @SuppressWarnings("unchecked")
    private static long queue(Model model) throws IOException {
        Collection<?> jobs =
                ((ConcurrentMap<String, Collection<?>>) Private.get(model, "jobsDb"))
                        .get(Model.DEFAULT_DATA_QUEUE);
        return jobs.size();
    }

    private static void ofServer(Page page, Counters.Snapshot counted) {
        page.family("mme_load_failures_total", "counter", "Loads that were refused, by kind.");
        kinds(page, "mme_load_failures_total", "", "kind", counted.failures);
        Memory memory = Memory.now();
        total(
                page,
                "mme_memory_used_bytes",
                "Memory of all processes of the server, counted as that of models.",
                memory.used());
        Long limit = Long.getLong("mme.memory.limit");
        if (limit != null) {
            String help = "Memory that they may take: the container's, the setting's or the machine's.";
            total(page, "mme_memory_limit_bytes", help, limit);
        }
        long host = host();
        total(page, "mme_model_host_up", "1 while there is a model host.", host > 0 ? 1 : 0);
        total(
                page,
                "mme_model_host_memory_bytes",
                "Memory of the model host, counted as that of models.",
                host > 0 ? memory.of(host) : 0);
        page.family("mme_server_start_timestamp_seconds", "gauge", "When the server was started.");
        double started = ManagementFactory.getRuntimeMXBean().getStartTime() / 1000.0;
        page.sample("mme_server_start_timestamp_seconds", "", started);
    }

    /** The process of the model host (launcher.py), which keeps it in a file; 0 where there is none. */
    private static long host() {
        try {
            byte[] text =
                    Files.readAllBytes(Paths.get(System.getProperty("java.io.tmpdir"), "host.pid"));
            long pid = Long.parseLong(new String(text, StandardCharsets.US_ASCII).trim());
            return ProcessHandle.of(pid).isPresent() ? pid : 0;
        } catch (IOException | NumberFormatException e) {
            return 0;
        }
    }

    private static void each(Map<String, Series> all, BiConsumer<String, Series> write) {
        all.forEach((target, one) -> write.accept(label(target), one));
    }

    private static void kinds(
            Page page, String name, String labels, String label, Map<String, Long> counts) {
        String before = labels.isEmpty() ? "" : labels + ",";
        counts.forEach((kind, count) -> page.sample(name, before + Page.label(label, kind), count));
    }

    private static void gauge(Page page, String name, String help, Map<String, Long> values) {
        page.family(name, "gauge", help);
        values.forEach((target, value) -> page.sample(name, label(target), value));
    }

    private static void total(Page page, String name, String help, long value) {
        page.family(name, "gauge", help);
        page.sample(name, "", value);
    }

    private static String label(String target) {
        return Page.label("target_model", target);
    }
}
