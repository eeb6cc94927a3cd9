package mme;

import com.amazonaws.ml.mms.util.messages.BaseModelRequest;
import com.amazonaws.ml.mms.wlm.BatchAggregator;
import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.ModelManager;
import com.amazonaws.ml.mms.wlm.WorkerThread;
import io.netty.channel.Channel;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.io.IOException;
import software.amazon.ai.mms.servingsdk.Context;
import software.amazon.ai.mms.servingsdk.ModelServerEndpoint;
import software.amazon.ai.mms.servingsdk.annotations.Endpoint;
import software.amazon.ai.mms.servingsdk.annotations.helpers.EndpointTypes;
import software.amazon.ai.mms.servingsdk.http.Request;
import software.amazon.ai.mms.servingsdk.http.Response;

/**
 * Where the model host says that a worker was killed: {@code POST
 * /worker-died?model=NAME&pid=PID&status=507&reason=TEXT&unread=0}. Whoever waits for an answer of
 * it gets the reason; MMS itself would answer "Worker died.". With {@code unread=1} there is a call
 * of which the worker has read nothing: that one goes back to the front of the line, and so do those
 * that MMS sends to it later.
 *
 * <p>A call that MMS sends to the dead worker between that look and this request is answered as if
 * the worker had died of it: a matter of a millisecond.
 */
@Endpoint(
        urlPattern = "worker-died",
        endpointType = EndpointTypes.MANAGEMENT,
        description = "For the container's own model host: a model's worker was killed")
public class WorkerDied extends ModelServerEndpoint {

    @Override
    public void doPost(Request request, Response response, Context context) throws IOException {
        String name = request.getParameter("model").get(0);
        int pid = Integer.parseInt(request.getParameter("pid").get(0));
        HttpResponseStatus status =
                HttpResponseStatus.valueOf(Integer.parseInt(request.getParameter("status").get(0)));
        if (status.code() < 400) {
            throw new IOException("The status of an error is 400 or above");
        }
        String reason = request.getParameter("reason").get(0);
        boolean unread = "1".equals(request.getParameter("unread").get(0));
        response.setStatus(404);
        Model model = ModelManager.getInstance().getModels().get(name);
        if (model == null) {
            return; // unloaded meanwhile
        }
        Counters.ALL.died(name);
        for (WorkerThread worker : ModelManager.getInstance().getWorkers(name)) {
            if (worker.getPid() == pid) {
                BaseModelRequest waiting = (BaseModelRequest) Private.get(worker, "req");
                PutBack calls =
                        new PutBack(model, (BatchAggregator) Private.get(worker, "aggregator"));
                Private.set(worker, "aggregator", calls);
                if (unread) {
                    calls.putBack(reason, status);
                } else {
                    calls.answer(waiting, reason, status);
                }
                ((Channel) Private.get(worker, "backendChannel")).close(); // takes no further one
                response.setStatus(200);
            }
        }
    }
}
