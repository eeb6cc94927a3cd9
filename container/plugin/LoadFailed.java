package mme;

import com.amazonaws.ml.mms.wlm.Job;
import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.ModelManager;
import com.amazonaws.ml.mms.wlm.WorkerState;
import com.amazonaws.ml.mms.wlm.WorkerStateListener;
import com.amazonaws.ml.mms.wlm.WorkerThread;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import software.amazon.ai.mms.servingsdk.Context;
import software.amazon.ai.mms.servingsdk.ModelServerEndpoint;
import software.amazon.ai.mms.servingsdk.annotations.Endpoint;
import software.amazon.ai.mms.servingsdk.annotations.helpers.EndpointTypes;
import software.amazon.ai.mms.servingsdk.http.Request;
import software.amazon.ai.mms.servingsdk.http.Response;

/**
 * Where a worker says that it could not load its model: {@code POST
 * /load-failed?model=NAME&port=9003&status=507&reason=TEXT}. Answered with 200 once that is done, 409
 * where that load of the model, which MMS's port tells apart, is not under way.
 *
 * <p>The worker protocol has an answer for it, too. On that one, MMS answers the caller first, who
 * may then find the model still there (409); and removes it in the very thread that it interrupts
 * to do so: waiting for the worker's process to end is cut short, and the model is put back on the
 * list, dead (WorkLoadManager.shutdownServerThread, ModelManager.unregisterModel): it can neither
 * be loaded (409) nor called (503). If the process is ended first, its watching thread leaves a
 * reference to itself behind (WorkerThread.run fails before it clears it), and the removal
 * interrupts whatever that thread runs by then, such as the next load. From here, the model is
 * removed in a thread of its own, and the caller is answered afterwards. The status line of the
 * answer carries the reason, which else only the log holds.
 */
@Endpoint(
        urlPattern = "load-failed",
        endpointType = EndpointTypes.MANAGEMENT,
        description = "For the container's own workers: the model could not be loaded")
public class LoadFailed extends ModelServerEndpoint {

    private static final long LATE_CALLS_SECONDS = 5;

    @Override
    public void doPost(Request request, Response response, Context context) throws IOException {
        String name = request.getParameter("model").get(0);
        int port = Integer.parseInt(request.getParameter("port").get(0));
        HttpResponseStatus status =
                new HttpResponseStatus(
                        Integer.parseInt(request.getParameter("status").get(0)),
                        request.getParameter("reason").get(0));
        Model model = ModelManager.getInstance().getModels().get(name);
        boolean isError = status.code() >= 400;
        boolean isThisLoad = model != null && model.getPort() == port;
        response.setStatus(isError && isThisLoad && failed(model, status) ? 200 : 409);
    }

    private static boolean failed(Model model, HttpResponseStatus status) throws IOException {
        ModelManager manager = ModelManager.getInstance();
        String name = model.getModelName();
        List<WorkerThread> workers = manager.getWorkers(name);
        WorkerThread loading = null;
        boolean served = false;
        for (WorkerThread worker : workers) {
            if (worker.getState() == WorkerState.WORKER_MODEL_LOADED) {
                served = true;
            } else {
                loading = worker;
            }
        }
        if (loading == null) {
            return false;
        }
        WorkerStateListener caller = (WorkerStateListener) Private.get(loading, "listener");
        boolean isFirstLoad = !((CompletableFuture<?>) Private.get(caller, "future")).isDone();
        // A worker that could not be replaced is no reason to end the others of its model. Where
        // there are none, calls would wait for ever: removed, the model is loaded anew by whoever
        // next wants it.
        if (isFirstLoad || !served) {
            // Their end is not to be the answer: it would be 500.
            for (WorkerThread worker : workers) {
                WorkerStateListener nobody = new WorkerStateListener(new CompletableFuture<>(), 1);
                Private.set(worker, "listener", nobody);
            }
            Counters.ALL.lost(name); // counts only where it had been loaded
            if (manager.unregisterModel(name).code() == 200) {
                // Once it has answered, MMS removes the model by its name. That is done, and may be
                // the name of the next load by then.
                model.getModelArchive().getManifest().getModel().setModelName(name + " (removed)");
            }
            caller.notifyChangeState(name, WorkerState.WORKER_ERROR, status);
            refuseWaitingCalls(model, status);
        }
        return true;
    }

    private static void refuseWaitingCalls(Model model, HttpResponseStatus status) {
        Thread refuse =
                new Thread(
                        () -> {
                            try {
                                while (true) {
                                    Map<String, Job> calls = new HashMap<>();
                                    model.pollBatch("nobody", 0, calls); // waits for one
                                    for (Job call : calls.values()) {
                                        call.sendError(status, status.reasonPhrase());
                                    }
                                }
                            } catch (InterruptedException e) {
                                // none is left
                            }
                        });
        refuse.setDaemon(true);
        refuse.start();
        // A call may have seen the model just before it was removed, and come only now.
        ModelManager.getInstance()
                .getScheduler()
                .schedule(refuse::interrupt, LATE_CALLS_SECONDS, TimeUnit.SECONDS);
    }
}
